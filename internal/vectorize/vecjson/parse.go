package vecjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

var (
	errBreaksOff = errors.New("it breaks off")
	errNotObject = errors.New("not a JSON object")
)

// Parse reads one vector. Dims is how many values it probably has.
func Parse(data []byte, dims int) (Vector, error) {
	p := parser{data: data}
	v, err := p.vector(dims)
	if err != nil {
		return Vector{}, err
	}
	p.space()
	if p.at < len(p.data) {
		return Vector{}, errors.New("something follows the vector")
	}
	return v, nil
}

// parser is a reader of one JSON text.
type parser struct {
	data []byte
	at   int
}

func (p *parser) vector(dims int) (v Vector, err error) {
	if !p.take('{') {
		return v, errNotObject
	}
	if p.take('}') {
		return v, errors.New("there is no id")
	}
	hasValues := false
	for {
		key, err := p.text()
		if err != nil {
			return v, err
		}
		if !p.take(':') {
			return v, p.unexpected()
		}
		switch key {
		case "id":
			v.ID, err = p.text()
		case "namespace":
			if p.takeNull() {
				break
			}
			v.Namespace, err = p.text()
		case "values":
			hasValues = true
			v.Values, err = p.numbers(dims)
		case "metadata":
			v.Metadata, err = p.metadata()
		default:
			_, err = p.raw()
		}
		if err != nil {
			return v, fmt.Errorf("%q: %w", clip(key), err)
		}
		if p.take(',') {
			continue
		}
		if !p.take('}') {
			return v, p.unexpected()
		}
		break
	}
	if !hasValues {
		return v, errors.New("there are no values")
	}
	return v, nil
}

// numbers reads an array of numbers that 32 bits can hold.
func (p *parser) numbers(dims int) ([]float32, error) {
	if !p.take('[') {
		return nil, errors.New("not an array of numbers")
	}
	out := make([]float32, 0, min(dims, len(p.data)))
	if p.take(']') {
		return out, nil
	}
	for {
		p.space()
		x, n, ok := number(p.data[p.at:])
		switch {
		case n == 0:
			return nil, fmt.Errorf("value %d is not a number", len(out))
		case !ok:
			return nil, fmt.Errorf("value %d is not a number of 32 bits", len(out))
		}
		p.at += n
		out = append(out, x)
		if p.take(',') {
			continue
		}
		if !p.take(']') {
			return nil, p.unexpected()
		}
		return out, nil
	}
}

// metadata reads an object, or null, and makes it compact.
func (p *parser) metadata() ([]byte, error) {
	if p.takeNull() {
		return nil, nil
	}
	raw, err := p.raw()
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, errors.New("not an object")
	}
	if !utf8.Valid(raw) || !surrogatesPaired(raw) {
		return nil, errors.New("not well-formed Unicode")
	}
	var out bytes.Buffer
	out.Grow(len(raw))
	if err := json.Compact(&out, raw); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// raw reads any value.
func (p *parser) raw() ([]byte, error) {
	p.space()
	start := p.at
	depth := 0
	for p.at < len(p.data) {
		switch c := p.data[p.at]; c {
		case '"':
			if err := p.skipString(); err != nil {
				return nil, err
			}
			p.at--
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				return p.valid(start)
			}
		}
		if depth < 0 {
			return p.valid(start)
		}
		p.at++
	}
	return p.valid(start)
}

// valid checks what raw found; the scan itself only finds where it ends.
func (p *parser) valid(start int) ([]byte, error) {
	raw := bytes.TrimSpace(p.data[start:p.at])
	if !json.Valid(raw) {
		return nil, errors.New("not JSON")
	}
	return raw, nil
}

// text reads a string.
func (p *parser) text() (string, error) {
	p.space()
	if p.at >= len(p.data) {
		return "", errBreaksOff
	}
	if p.data[p.at] != '"' {
		return "", errors.New("not a string")
	}
	start := p.at
	if err := p.skipString(); err != nil {
		return "", err
	}
	raw := p.data[start:p.at]
	if !utf8.Valid(raw) || !surrogatesPaired(raw) {
		return "", errors.New("not well-formed Unicode")
	}
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", errors.New("not a JSON string")
	}
	return out, nil
}

// skipString moves behind the string that begins here.
func (p *parser) skipString() error {
	for i := p.at + 1; i < len(p.data); i++ {
		switch p.data[i] {
		case '\\':
			i++
		case '"':
			p.at = i + 1
			return nil
		}
	}
	return errBreaksOff
}

// surrogatesPaired reports whether each escaped half of a surrogate pair has its
// other half: one alone is no character, and encoding/json would replace it silently.
func surrogatesPaired(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if i >= len(raw) || raw[i] != 'u' {
			continue
		}
		u := hex4(raw, i+1)
		i += 4
		switch {
		case u >= 0xDC00 && u <= 0xDFFF:
			return false
		case u >= 0xD800 && u <= 0xDBFF:
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return false
			}
			if low := hex4(raw, i+3); low < 0xDC00 || low > 0xDFFF {
				return false
			}
			i += 6
		}
	}
	return true
}

// hex4 reads four hexadecimal digits; 0 when they are not there.
func hex4(b []byte, at int) int {
	if at+4 > len(b) {
		return 0
	}
	n, err := strconv.ParseUint(string(b[at:at+4]), 16, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.data) && p.data[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) takeNull() bool {
	p.space()
	if bytes.HasPrefix(p.data[p.at:], []byte("null")) {
		p.at += 4
		return true
	}
	return false
}

func (p *parser) unexpected() error {
	p.space()
	if p.at >= len(p.data) {
		return errBreaksOff
	}
	return fmt.Errorf("unexpected %q", p.data[p.at])
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// CutNumbers reads the array of numbers under a name of an object, of which there are
// probably dims, and returns the object without it. It returns nil numbers, and the
// object as it is, when there is none or what is there is no array; what else is wrong
// with the object is left for who reads the rest.
func CutNumbers(object []byte, name string, dims int) (numbers []float32, rest []byte, err error) {
	p := parser{data: object}
	if !p.take('{') {
		return nil, object, nil
	}
	for {
		start := p.at
		key, err := p.text()
		if err != nil || !p.take(':') {
			return nil, object, nil //nolint:nilerr // for who reads the rest
		}
		p.space()
		if key == name && p.at < len(p.data) && p.data[p.at] == '[' {
			if numbers, err = p.numbers(dims); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
			rest = append(append(rest, object[:start]...), `"":0`...)
			return numbers, append(rest, object[p.at:]...), nil
		}
		if _, err := p.raw(); err != nil || !p.take(',') {
			return nil, object, nil //nolint:nilerr // for who reads the rest
		}
	}
}
