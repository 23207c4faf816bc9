package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseFile reads a TOML file into settings. It knows the line of every key.
func parseFile(name string, data []byte, options []Option) ([]setting, error) {
	// The decoder holds the rules of TOML (duplicate keys, redefined tables);
	// the second pass only finds lines.
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		if syntax, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := syntax.Position()
			return nil, &Error{
				Where:  fmt.Sprintf("%s:%d:%d", name, line, column),
				Reason: strings.TrimPrefix(err.Error(), "toml: ") + "; the file must be TOML, as \"selvage config --example\" shows it",
			}
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := fileReader{name: name, options: options, lines: keyLines(data)}
	r.walk("", tree)
	slices.SortStableFunc(r.settings, func(a, b setting) int { return r.lines[a.key] - r.lines[b.key] })
	slices.SortStableFunc(r.problems, func(a, b *Error) int { return r.lines[a.Key] - r.lines[b.Key] })
	problems := make([]error, len(r.problems))
	for i, p := range r.problems {
		problems[i] = p
	}
	return r.settings, errors.Join(problems...)
}

type fileReader struct {
	name     string
	options  []Option
	lines    map[string]int
	settings []setting
	problems []*Error
}

func (r *fileReader) walk(prefix string, table map[string]any) {
	for key, v := range table {
		key = prefix + key
		i := slices.IndexFunc(r.options, func(o Option) bool { return o.Key == key })
		sub, isTable := v.(map[string]any)
		switch {
		case i >= 0:
			r.take(&r.options[i], v)
		case isTable && slices.ContainsFunc(r.options, func(o Option) bool { return strings.HasPrefix(o.Key, key+".") }):
			r.walk(key+".", sub)
		default:
			r.problems = append(r.problems, &Error{
				Where: r.where(key), Key: key,
				Reason: fmt.Sprintf("there is no option %q; did you mean %q?", key, nearest(key, r.options)),
			})
		}
	}
}

func (r *fileReader) where(key string) string {
	return r.name + ":" + strconv.Itoa(r.lines[key])
}

// take turns a TOML value into the option's text. The type must be the
// option's: port = "80" is refused.
func (r *fileReader) take(o *Option, v any) {
	var text string
	var ok bool
	switch o.value(&Config{}).(type) {
	case *string, *time.Duration:
		text, ok = v.(string)
	case *int:
		var n int64
		n, ok = v.(int64)
		text = strconv.FormatInt(n, 10)
	case *bool:
		var b bool
		b, ok = v.(bool)
		text = strconv.FormatBool(b)
	case *Size:
		if n, isInt := v.(int64); isInt {
			text, ok = strconv.FormatInt(n, 10), true
		} else {
			text, ok = v.(string)
		}
	default: // lists
		text, ok = joinList(v)
	}
	if !ok {
		r.problems = append(r.problems, &Error{
			Where: r.where(o.Key), Key: o.Key, Value: fmt.Sprint(v),
			Reason: fmt.Sprintf("%s = %v is not valid; want %s, written as in %s", o.Key, v, o.Want, exampleLine(o, Default(func(string) string { return "" }))),
		})
		return
	}
	r.settings = append(r.settings, setting{key: o.Key, text: text, where: r.where(o.Key)})
}

func joinList(v any) (text string, ok bool) {
	items, ok := v.([]any)
	if !ok {
		return "", false
	}
	texts := make([]string, len(items))
	for i, item := range items {
		s, isString := item.(string)
		if !isString || strings.Contains(s, ",") {
			return "", false
		}
		texts[i] = s
	}
	return strings.Join(texts, ","), true
}

// keyLines finds the line of every key of a file that the decoder took; keys
// are dotted. Lines count from one.
func keyLines(data []byte) map[string]int {
	k := keyFinder{lines: make(map[string]int)}
	for i, ch := range data {
		if ch == '\n' {
			k.breaks = append(k.breaks, i)
		}
	}
	var p unstable.Parser
	p.Reset(data)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind { //nolint:exhaustive // only these stand at the top, besides comments
		case unstable.Table, unstable.ArrayTable:
			table = k.key("", e.Key()) + "."
		case unstable.KeyValue:
			k.value(table, e)
		}
	}
	return k.lines
}

type keyFinder struct {
	breaks []int // offsets of the newlines
	lines  map[string]int
}

// value notes the keys of one assignment, those in inline tables too.
func (k *keyFinder) value(prefix string, e *unstable.Node) {
	key := k.key(prefix, e.Key())
	if v := e.Value(); v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			k.value(key+".", it.Node())
		}
	}
}

// key notes a dotted key, with all that it is below, and returns it whole.
func (k *keyFinder) key(prefix string, it unstable.Iterator) string {
	key := strings.TrimSuffix(prefix, ".")
	for it.Next() {
		n := it.Node()
		key = strings.TrimPrefix(key+"."+string(n.Data), ".")
		if _, seen := k.lines[key]; !seen {
			before, _ := slices.BinarySearch(k.breaks, int(n.Raw.Offset))
			k.lines[key] = before + 1
		}
	}
	return key
}

// nearest returns the option's key that takes the fewest edits from key. The
// last part counts too: "log_level" is near "log.level", "level" as well.
func nearest(key string, options []Option) string {
	best, cost := "", 0
	for _, o := range options {
		short := o.Key[strings.LastIndexByte(o.Key, '.')+1:]
		c := min(distance(key, o.Key), distance(key[strings.LastIndexByte(key, '.')+1:], short)+1)
		if best == "" || c < cost {
			best, cost = o.Key, c
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	if len(a) > 64 {
		a = a[:64]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
