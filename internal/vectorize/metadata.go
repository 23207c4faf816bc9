package vectorize

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxKeyLength = 512 // characters of a key of metadata or of a filter
	maxKeyDepth  = 64  // of objects in metadata
	// Of a string this many bytes count in a metadata index, up to the end of a character.
	indexedBytes = 64
)

// IndexType is what a metadata index holds.
type IndexType string

// The types of metadata indexes.
const (
	IndexString  IndexType = "string"
	IndexNumber  IndexType = "number"
	IndexBoolean IndexType = "boolean"
)

func (t IndexType) valid() bool { return t == IndexString || t == IndexNumber || t == IndexBoolean }

// checkMetadata checks the keys of metadata, which is JSON of an object.
func checkMetadata(raw []byte) *Error {
	d := json.NewDecoder(bytes.NewReader(raw))
	type level struct {
		object bool
		key    bool // the next token is a key
	}
	var stack []level
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return Fail(CodeParse, "metadata is not JSON")
		}
		top := len(stack) - 1
		if delim, ok := tok.(json.Delim); ok {
			switch delim {
			case '{', '[':
				if len(stack) == maxKeyDepth {
					return Fail(CodeParse, "metadata is nested more than %d levels deep", maxKeyDepth)
				}
				if top >= 0 {
					stack[top].key = stack[top].object
				}
				stack = append(stack, level{delim == '{', delim == '{'})
			default:
				stack = stack[:top]
			}
			continue
		}
		if top < 0 {
			return Fail(CodeParse, "metadata is not an object")
		}
		if stack[top].object && stack[top].key {
			key, _ := tok.(string)
			if problem := checkKey(key); problem != "" {
				return Fail(CodeMetadataKey, "invalid metadata key %q: %s", clip(key), problem)
			}
			stack[top].key = false
			continue
		}
		stack[top].key = stack[top].object
	}
}

// checkKey says what is wrong with one key, or "".
func checkKey(key string) string {
	switch {
	case key == "":
		return "it is empty"
	case strings.ContainsAny(key, `."`):
		return `it must not contain "." or a double quote`
	case strings.HasPrefix(key, "$"):
		return `it must not begin with "$"`
	case utf8.RuneCountInString(key) > maxKeyLength:
		return "it is longer than 512 characters"
	}
	return ""
}

// checkPath checks the name of a property, whose dots are levels.
func checkPath(path string) string {
	if utf8.RuneCountInString(path) > maxKeyLength {
		return "it is longer than 512 characters"
	}
	if strings.Contains(path, "|") {
		return `it must not contain "|"`
	}
	for key := range strings.SplitSeq(path, ".") {
		if problem := checkKey(key); problem != "" {
			return problem
		}
	}
	return ""
}

// scalar is a value that an index holds or a filter names.
type scalar struct {
	kind kind
	num  float64 // a boolean is 0 or 1
	str  string
}

type kind byte

const (
	missing kind = iota // null too
	boolean
	number
	text
)

func (k kind) matches(t IndexType) bool {
	return k == boolean && t == IndexBoolean || k == number && t == IndexNumber || k == text && t == IndexString
}

// compare orders scalars: by kind, then by value.
func (s scalar) compare(o scalar) int {
	switch {
	case s.kind != o.kind:
		return int(s.kind) - int(o.kind)
	case s.kind == text:
		return strings.Compare(s.str, o.str)
	case s.num < o.num:
		return -1
	case s.num > o.num:
		return 1
	}
	return 0
}

// cut returns what of a string counts.
func cut(s string) string {
	if len(s) <= indexedBytes {
		return s
	}
	n := indexedBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func scalarOf(v any) scalar {
	switch v := v.(type) {
	case bool:
		if v {
			return scalar{kind: boolean, num: 1}
		}
		return scalar{kind: boolean}
	case float64:
		return scalar{kind: number, num: v}
	case string:
		return scalar{kind: text, str: cut(v)}
	}
	return scalar{}
}

// property finds the value at path in parsed metadata.
func property(object map[string]any, path string) any {
	for {
		head, rest, nested := strings.Cut(path, ".")
		v := object[head]
		if !nested {
			return v
		}
		next, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		object, path = next, rest
	}
}

// indexed returns, for each metadata index, what it holds of metadata that a
// mutation numbered seq brought.
func indexed(meta []MetadataIndex, raw []byte, seq uint64) []scalar {
	if len(meta) == 0 {
		return nil
	}
	out := make([]scalar, len(meta))
	if raw == nil {
		return out
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return out // it was checked when it came
	}
	for i := range meta {
		if seq < meta[i].Since {
			continue
		}
		if s := scalarOf(property(object, meta[i].Property)); s.kind.matches(meta[i].Type) {
			out[i] = s
		}
	}
	return out
}

// onlyIndexed returns metadata with the indexed properties alone.
func onlyIndexed(meta []MetadataIndex, raw []byte, seq uint64) []byte {
	values := indexed(meta, raw, seq)
	object := map[string]any{}
	for i, v := range values {
		if v.kind == missing {
			continue
		}
		into := object
		path := meta[i].Property
		for {
			head, rest, nested := strings.Cut(path, ".")
			if !nested {
				into[head] = v.plain()
				break
			}
			next, ok := into[head].(map[string]any)
			if !ok {
				next = map[string]any{}
				into[head] = next
			}
			into, path = next, rest
		}
	}
	if len(object) == 0 {
		return nil
	}
	out, _ := json.Marshal(object) // of scalars
	return out
}

func (s scalar) plain() any {
	switch s.kind {
	case boolean:
		return s.num == 1
	case number:
		return s.num
	case text:
		return s.str
	case missing:
	}
	return nil
}
