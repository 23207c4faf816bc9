package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKV(t *testing.T) {
	p := start(t, t.TempDir())
	dir := t.TempDir()
	kv := func(stdin string, args ...string) result {
		t.Helper()
		return runWith(t, nil, stdin, append(append([]string{"kv"}, args...), "--data", p.data)...)
	}
	must := func(stdin string, args ...string) string {
		t.Helper()
		r := kv(stdin, args...)
		if r.code != 0 {
			t.Fatalf("kv %v: %d %s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}

	id := strings.TrimSpace(must("", "namespace", "create", "sessions"))
	if len(id) != 32 {
		t.Fatalf("create printed %q", id)
	}
	oneLine(t, kv("", "namespace", "create", "sessions"), 1, "already exists", "10014")
	if out := must("", "namespace", "list"); !strings.Contains(out, id) || !strings.HasPrefix(out, "ID ") {
		t.Errorf("list: %s", out)
	}
	must("", "namespace", "rename", "sessions", "s2")
	if out := must("", "namespace", "list", "--json"); !strings.Contains(out, `"title":"s2"`) {
		t.Errorf("list --json: %s", out)
	}
	oneLine(t, kv("", "key", "list", "sessions"), 1, `no KV namespace has the id or title "sessions"`)

	must("", "key", "put", "s2", "a/b", "one", "--ttl", "100", "--metadata", `{"m":1}`)
	must("from stdin", "key", "put", id, "in")
	must("", "key", "put", id, "file", "--path", file("v.bin", "\x00\xff"))
	for key, want := range map[string]string{"a/b": "one", "in": "from stdin", "file": "\x00\xff"} {
		if got := must("", "key", "get", "s2", key); got != want {
			t.Errorf("get %s: %q, want %q", key, got, want)
		}
	}
	oneLine(t, kv("", "key", "get", "s2", "none"), 1, "key not found", "10009")
	if out := must("", "key", "list", "s2"); !strings.Contains(out, "a/b") || !strings.Contains(out, `{"m":1}`) || !strings.Contains(out, "never") {
		t.Errorf("list: %s", out)
	}
	var keys []map[string]any
	if err := json.Unmarshal([]byte(must("", "key", "list", "s2", "--prefix", "f", "--json")), &keys); err != nil || len(keys) != 1 || keys[0]["name"] != "file" {
		t.Errorf("%v %v", keys, err)
	}
	if out := must("", "key", "list", "s2", "--limit", "2"); strings.Count(out, "\n") != 3 {
		t.Errorf("list --limit 2: %s", out)
	}
	must("", "key", "delete", "s2", "in", "file", "none")
	oneLine(t, kv("", "key", "get", "s2", "in"), 1, "key not found")

	must("", "bulk", "put", "s2", file("put.json", `[{"key":"x","value":"1"},{"key":"y","value":"eQ==","base64":true,"metadata":[1]}]`))
	if out := must(`["x","y","none"]`, "bulk", "get", "s2", "-"); !strings.Contains(out, `"none":null`) || !strings.Contains(out, `"y":"y"`) {
		t.Errorf("bulk get: %s", out)
	}
	oneLine(t, kv("", "bulk", "put", "s2", file("bad.json", `[{"key":"x","vlaue":"1"}]`)), 1, "bad.json", "vlaue")
	oneLine(t, kv("", "bulk", "put", "s2", filepath.Join(dir, "nothing.json")), 1, "nothing.json")
	keysFile := file("keys.json", `["x"]`)
	if r := kv("n\n", "bulk", "delete", "s2", keysFile); r.code != 1 || !strings.Contains(r.stderr, "nothing was deleted") {
		t.Errorf("%+v", r)
	}
	must("y\n", "bulk", "delete", "s2", keysFile)
	must(`["y"]`, "bulk", "delete", "s2", "-", "--yes")
	if out := must("", "key", "list", "s2", "--json"); !strings.Contains(out, "a/b") || strings.Contains(out, `"x"`) || strings.Contains(out, `"y"`) {
		t.Errorf("after bulk delete: %s", out)
	}

	for _, args := range [][]string{
		{"key", "put", "s2", "k", "v", "--path", keysFile},
		{"key", "put", "s2", "k", "v", "--metadata", "{"},
		{"key", "get", "s2"},
		{"key", "list", "s2", "--limit", "-1"},
		{"bulk", "delete", "s2", "-"},
		{"namespace", "rename", "s2"},
		{"nmespace"},
	} {
		oneLine(t, kv("", args...), 2)
	}
	oneLine(t, kv("", "key", "put", "s2", strings.Repeat("k", 513), "v"), 1, "UTF-8 encoded length of 513 exceeds key length limit of 512.")
	if r := kv("", "namespace", "delete", "s2"); r.code != 1 || !strings.Contains(r.stderr, "nothing was deleted") {
		t.Errorf("%+v", r)
	}
	must("", "namespace", "delete", "s2", "--yes")
	if out := must("", "namespace", "list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("after the delete: %s", out)
	}
}
