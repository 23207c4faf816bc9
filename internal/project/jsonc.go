package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// plain blanks what JSON has not: comments, and commas before a closing bracket.
// Every byte keeps its place, so an offset in the result is one in the file.
func plain(text []byte) []byte {
	out := bytes.Clone(text)
	comma := -1 // a comma after which nothing has come yet
	for i := 0; i < len(out); {
		switch c := out[i]; {
		case c == '"':
			i = skipString(out, i)
			comma = -1
			continue
		case c == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			i = blankComment(out, i)
			continue
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
		i++
	}
	return out
}

// skipString returns where the string that begins at i is over.
func skipString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return i // not closed: the JSON decoder says so
		}
	}
	return len(text)
}

// blankComment overwrites the comment that begins at i and returns where it is
// over. A block that is not closed stays, for the JSON decoder to refuse.
func blankComment(text []byte, i int) int {
	end := len(text)
	if text[i+1] == '/' {
		if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
			end = i + n
		}
	} else {
		n := bytes.Index(text[i+2:], []byte("*/"))
		if n < 0 {
			return len(text)
		}
		end = i + 2 + n + 2
	}
	for j := i; j < end; j++ {
		if text[j] != '\n' {
			text[j] = ' '
		}
	}
	return end
}

// decodeJSONC reads one JSON object with comments and trailing commas. Numbers
// keep their text.
func decodeJSONC(text []byte) (map[string]any, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	clean := plain(text)
	d := json.NewDecoder(bytes.NewReader(clean))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, positioned(text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is more after the end of the object", position(text, d.InputOffset()))
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("line 1: want an object { … }")
	}
	return m, nil
}

func positioned(text []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: %w", position(text, syntax.Offset), err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the file ends too early", position(text, int64(len(text))))
	}
	return err
}

// position is where the byte before offset is, for a person.
func position(text []byte, offset int64) string {
	before := text[:max(0, min(offset-1, int64(len(text))))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}
