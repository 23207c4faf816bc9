package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
)

// Value is what a template works with: nil, bool, int64, float64, string, *[List],
// *[Dict], or something that only the package makes.
type Value any

// List is a list, or a tuple. It does not change once it is made.
type List struct {
	Items []Value
	tuple bool
}

// Dict is a map that keeps the order of its keys. It does not change once a template has it.
type Dict struct {
	keys   []Value
	values []Value
	index  map[any]int
}

// undefined is a variable or a field that is not there; name is for errors.
type undefined struct{ name string }

// namespace is the one thing that a template can change.
type namespace struct{ fields *Dict }

// function can be called.
type function struct {
	name string
	call func(m *machine, a *args) Value
}

// args are the arguments of a call.
type args struct {
	list  []Value
	named *Dict // nil: none
}

// NewDict returns a dict without keys.
func NewDict() *Dict { return &Dict{index: make(map[any]int)} }

// hashed is a key as Go's maps compare it; 1, 1.0 and true are one key.
func hashed(key Value) (any, bool) {
	switch k := key.(type) {
	case string, int64, nil:
		return k, true
	case bool:
		if k {
			return int64(1), true
		}
		return int64(0), true
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<53 {
			return int64(k), true
		}
		return k, true
	}
	return nil, false
}

// Set sets a key; a new one comes last.
func (d *Dict) Set(key string, v Value) { d.set(key, v) }

func (d *Dict) set(key, v Value) bool {
	h, ok := hashed(key)
	if !ok {
		return false
	}
	if i, there := d.index[h]; there {
		d.values[i] = v
		return true
	}
	d.index[h] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, v)
	return true
}

func (d *Dict) get(key Value) (Value, bool) {
	h, ok := hashed(key)
	if !ok {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// maxJSONDepth bounds the nesting of values from outside.
const maxJSONDepth = 100

// FromJSON returns the value of a JSON text, with the keys of objects in their order.
func FromJSON(text []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("jinja: more than one value in the JSON")
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (Value, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return number(t), nil
	case json.Delim:
		if depth >= maxJSONDepth {
			return nil, fmt.Errorf("jinja: the JSON is nested deeper than %d levels", maxJSONDepth)
		}
		if t == '[' {
			return decodeList(d, depth)
		}
		return decodeDict(d, depth)
	}
	return t, nil
}

func decodeList(d *json.Decoder, depth int) (Value, error) {
	l := &List{}
	for d.More() {
		v, err := decode(d, depth+1)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	_, err := d.Token()
	return l, err
}

func decodeDict(d *json.Decoder, depth int) (Value, error) {
	o := NewDict()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decode(d, depth+1)
		if err != nil {
			return nil, err
		}
		o.set(key, v)
	}
	_, err := d.Token()
	return o, err
}

func number(n json.Number) Value {
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := n.Int64(); err == nil {
			return i
		}
	}
	f, err := n.Float64()
	if err != nil {
		return math.Inf(1)
	}
	return f
}

// truth is what if makes of a value.
func truth(v Value) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case *List:
		return len(x.Items) > 0
	case *Dict:
		return len(x.keys) > 0
	}
	return true
}

// typeName is for errors.
func typeName(v Value) string {
	switch v.(type) {
	case nil:
		return "none"
	case undefined:
		return "an undefined value"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a text"
	case *List:
		return "a list"
	case *Dict:
		return "a dict"
	case *function:
		return "a function"
	}
	return "an object"
}

// numeric returns a number; booleans are numbers, as in Python.
func numeric(v Value) (i int64, f float64, isInt, ok bool) {
	switch x := v.(type) {
	case bool:
		if x {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return x, float64(x), true, true
	case float64:
		return 0, x, false, true
	}
	return 0, 0, false, false
}

// Map returns the fields of a dict whose keys are texts.
func (d *Dict) Map() map[string]Value {
	out := make(map[string]Value, len(d.keys))
	for i, k := range d.keys {
		if s, ok := k.(string); ok {
			out[s] = d.values[i]
		}
	}
	return out
}

// MapText returns a value with each text in it, but keys, as fn returns it.
func MapText(v Value, fn func(string) string) Value {
	switch x := v.(type) {
	case string:
		return fn(x)
	case *List:
		out := &List{Items: make([]Value, len(x.Items)), tuple: x.tuple}
		for i, item := range x.Items {
			out.Items[i] = MapText(item, fn)
		}
		return out
	case *Dict:
		out := NewDict()
		for i, k := range x.keys {
			out.set(k, MapText(x.values[i], fn))
		}
		return out
	}
	return v
}
