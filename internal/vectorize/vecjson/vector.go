package vecjson

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Vector is a vector as it is sent: {"id":…,"values":[…],"namespace":…,"metadata":{…}}.
type Vector struct {
	ID        string
	Namespace string // "" for none
	Values    []float32
	Metadata  []byte // compact JSON of an object; nil for none
}

// MaxLine bounds one vector, in bytes of its JSON.
const MaxLine = 1 << 20

// Error says what is wrong with vectors that were sent.
type Error struct {
	Line   int // from 1; of a JSON array, which element
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// TooManyError says that there are more vectors than a call may have.
type TooManyError struct{ Most int }

func (e *TooManyError) Error() string { return fmt.Sprintf("more than %d vectors", e.Most) }

// ReadLines reads newline-delimited JSON, one vector a line; empty lines are
// skipped. Errors: [*Error], [*TooManyError], or r's.
func ReadLines(r io.Reader, most, dims int) ([]Vector, error) {
	var out []Vector
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), MaxLine)
	n := 0
	for s.Scan() {
		n++
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		if len(out) == most {
			return nil, &TooManyError{most}
		}
		v, err := Parse(line, dims)
		if err != nil {
			return nil, &Error{n, err.Error()}
		}
		out = append(out, v)
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &Error{n + 1, fmt.Sprintf("longer than %d bytes", MaxLine)}
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

// ReadArray reads {"vectors":[…]}, or the array alone. Errors are as those of ReadLines.
func ReadArray(r io.Reader, most, dims int) ([]Vector, error) {
	d := json.NewDecoder(r)
	if err := enterArray(d); err != nil {
		return nil, err
	}
	var out []Vector
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, readError(len(out)+1, err)
		}
		if len(out) == most {
			return nil, &TooManyError{most}
		}
		v, err := Parse(raw, dims)
		if err != nil {
			return nil, &Error{len(out) + 1, err.Error()}
		}
		out = append(out, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, readError(len(out)+1, err)
	}
	return out, nil
}

// enterArray reads up to the first vector.
func enterArray(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return readError(1, err)
	}
	if tok == json.Delim('[') {
		return nil
	}
	if tok != json.Delim('{') {
		return &Error{1, `not {"vectors":[…]}`}
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return readError(1, err)
		}
		if key != "vectors" {
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return readError(1, err)
			}
			continue
		}
		tok, err := d.Token()
		if err != nil {
			return readError(1, err)
		}
		if tok != json.Delim('[') {
			return &Error{1, "vectors is not an array"}
		}
		return nil
	}
	return &Error{1, "there is no field vectors"}
}

// readError keeps the reader's own errors apart from those of what it read.
func readError(line int, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return &Error{line, "not JSON: " + syntax.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{line, "it breaks off"}
	}
	return err
}
