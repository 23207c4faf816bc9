package project

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzPlain holds that blanking comments keeps the length, every line end and
// all JSON that was valid already.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,],}`, "{//x\n}", `{/*,*/"a":"//"}`, `"\"`, `{"a":"\\",/**/}`, "/*", "/", `,]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := plain(text)
		if len(got) != len(text) {
			t.Fatalf("%d bytes became %d", len(text), len(got))
		}
		for i := range text {
			if (text[i] == '\n') != (got[i] == '\n') {
				t.Fatalf("the line end at %d moved", i)
			}
		}
		if json.Valid(text) && !bytes.Equal(got, text) {
			t.Fatalf("valid JSON %q became %q", text, got)
		}
	})
}

// FuzzLoad feeds a whole configuration.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"name":"w","env":{"a":{"vars":{"x":1}}},"kv_namespaces":[{"binding":"K"}],"routes":[{"pattern":"a"}]}`), "a", true)
	f.Add([]byte("name = 'w'\n[vars]\nd = 2026-01-01T00:00:00Z\n"), "", false)
	f.Fuzz(func(t *testing.T, text []byte, env string, jsonFile bool) {
		extension := ".toml"
		if jsonFile {
			extension = ".jsonc"
		}
		raw, err := decode(text, extension)
		if err != nil {
			return
		}
		p := &problems{}
		c := &Config{File: "/p/wrangler" + extension, Root: "/p"}
		c.fill(choose(raw, env, p), p)
		for _, b := range c.Bindings {
			if _, err := json.Marshal(b); err != nil {
				t.Fatalf("the binding %q cannot be uploaded: %v", b.Name, err)
			}
		}
	})
}

// FuzzIgnore feeds patterns.
func FuzzIgnore(f *testing.F) {
	f.Add("*.map\n!a/[x", "a/b.map")
	f.Fuzz(func(_ *testing.T, patterns, file string) { ParseIgnore(patterns).Match(file) })
}
