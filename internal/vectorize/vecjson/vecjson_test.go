package vecjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

func TestParse(t *testing.T) {
	v, err := vecjson.Parse([]byte(` {"values": [1, -2.5e-1 ,3E2], "id":"a\u00e9","x":{"y":[1,"}"]}, "namespace":null,"metadata":{ "k" : [ 1 ] } } `), 3)
	if err != nil {
		t.Fatal(err)
	}
	if v.ID != "aé" || v.Namespace != "" || !slices.Equal(v.Values, []float32{1, -.25, 300}) || string(v.Metadata) != `{"k":[1]}` {
		t.Errorf("read as %+v", v)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{``, "not a JSON object"},
		{`[]`, "not a JSON object"},
		{`{}`, "there is no id"},
		{`{"id":"a"}`, "there are no values"},
		{`{"id":"a","values":[1`, "breaks off"},
		{`{"id":"a","values":[NaN]}`, "value 0 is not a number"},
		{`{"id":"a","values":[1,null]}`, "value 1 is not a number"},
		{`{"id":"a","values":[1e39]}`, "value 0 is not a number of 32 bits"},
		{`{"id":"a","values":[01]}`, "not a number"},
		{`{"id":"a","values":[1.]}`, "not a number"},
		{`{"id":"a","values":[1,]}`, "not a number"},
		{`{"id":"a","values":"1"}`, "not an array"},
		{`{"id":1,"values":[1]}`, "not a string"},
		{`{"id":"\ud835","values":[1]}`, "Unicode"},
		{"{\"id\":\"\xff\",\"values\":[1]}", "Unicode"},
		{`{"id":"a","values":[1],"metadata":[1]}`, "not an object"},
		{`{"id":"a","values":[1],"metadata":{"k":}}`, "not JSON"},
		{`{"id":"a","values":[1]} x`, "something follows"},
	} {
		if _, err := vecjson.Parse([]byte(c.in), 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", c.in, err, c.want)
		}
	}
}

func TestReadLines(t *testing.T) {
	const line = `{"id":"a","values":[1]}`
	got, err := vecjson.ReadLines(strings.NewReader(line+"\n\r\n"+line), 2, 1)
	if err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	var wrong *vecjson.Error
	if _, err := vecjson.ReadLines(strings.NewReader(line+"\n"+line[:9]), 5, 1); !errors.As(err, &wrong) || wrong.Line != 2 {
		t.Errorf("cut in the middle: %v", err)
	}
	if _, err := vecjson.ReadLines(strings.NewReader(strings.Repeat("x", vecjson.MaxLine+1)), 5, 1); !errors.As(err, &wrong) || wrong.Line != 1 {
		t.Errorf("a long line: %v", err)
	}
	var many *vecjson.TooManyError
	if _, err := vecjson.ReadLines(strings.NewReader(strings.Repeat(line+"\n", 3)), 2, 1); !errors.As(err, &many) {
		t.Errorf("too many: %v", err)
	}
}

func TestReadArray(t *testing.T) {
	for _, in := range []string{`{"a":[{}],"vectors":[{"id":"a","values":[1]}]}`, `[{"id":"a","values":[1]}]`} {
		if got, err := vecjson.ReadArray(strings.NewReader(in), 1, 1); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{``, `7`, `{}`, `{"vectors":7}`, `{"vectors":[`, `[{"id":"a","values":[1]}`, `[{"id":"a","values":[1]},]`} {
		if got, err := vecjson.ReadArray(strings.NewReader(in), 9, 1); err == nil {
			t.Errorf("%s: %v", in, got)
		}
	}
}

// FuzzParse holds the parser against encoding/json: what it accepts means the same
// there, and what it writes it reads again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"a","values":[1,2.5e3,-0],"namespace":"n","metadata":{"a":{"b":[true,null,"\u00e9\ud83d\ude00"]}}}`))
	f.Add([]byte(`{"id":"\"","values":[],"x":[{},"]"]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := vecjson.Parse(in, 3)
		if err != nil {
			return
		}
		var model struct {
			ID        string          `json:"id"`
			Namespace string          `json:"namespace"`
			Values    []float32       `json:"values"`
			Metadata  json.RawMessage `json:"metadata"`
		}
		if err := json.Unmarshal(in, &model); err != nil {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", in, err)
		}
		again, err := vecjson.Parse(vecjson.Append(nil, &v), 3)
		if err != nil || again.ID != v.ID || again.Namespace != v.Namespace || !slices.Equal(again.Values, v.Values) || string(again.Metadata) != string(v.Metadata) {
			t.Fatalf("%+v comes back as %+v: %v", v, again, err)
		}
	})
}

func TestCutNumbers(t *testing.T) {
	for _, c := range []struct{ in, numbers, rest string }{
		{`{"vector":[1,2],"topK":3}`, "[1 2]", `{"":0,"topK":3}`},
		{` { "topK" : 3 , "vector" : [ 1 , 2 ] } `, "[1 2]", ` { "topK" : 3 ,"":0 } `},
		{`{"a":{"vector":[1]},"vector":[]}`, "[]", `{"a":{"vector":[1]},"":0}`},
		{`{"vector":"x"}`, "", `{"vector":"x"}`},
		{`{"vectorId":"x"}`, "", `{"vectorId":"x"}`},
		{`{}`, "", `{}`},
		{`[1]`, "", `[1]`},
		{``, "", ``},
	} {
		numbers, rest, err := vecjson.CutNumbers([]byte(c.in), "vector", 2)
		got := ""
		if numbers != nil {
			got = fmt.Sprint(numbers)
		}
		if err != nil || got != c.numbers || string(rest) != c.rest {
			t.Errorf("%s: %s and %s, %v", c.in, got, rest, err)
		}
	}
	if _, _, err := vecjson.CutNumbers([]byte(`{"vector":[1,"x"]}`), "vector", 2); err == nil {
		t.Error("a string among numbers was read")
	}
}

// FuzzCutNumbers holds that what is cut out and what is left are what encoding/json
// finds in the whole.
func FuzzCutNumbers(f *testing.F) {
	f.Add([]byte(`{"vector":[1,2],"topK":3}`))
	f.Add([]byte(`{"topK":3,"vector":[1e9,-2.5],"filter":{"a":["b"]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		numbers, rest, err := vecjson.CutNumbers(in, "vector", 2)
		var whole, left map[string]json.RawMessage
		if json.Unmarshal(in, &whole) != nil {
			if err == nil && json.Unmarshal(rest, &left) == nil {
				t.Errorf("%q is no JSON, and what is left of it is: %q", in, rest)
			}
			return
		}
		if err != nil || numbers == nil || len(whole["vector"]) == 0 || whole["vector"][0] != '[' {
			return
		}
		if err := json.Unmarshal(rest, &left); err != nil {
			t.Errorf("%q leaves %q: %v", in, rest, err)
		}
	})
}
