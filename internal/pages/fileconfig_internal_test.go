package pages

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFileConfig turns the settings of an upload into those of a project and back into bindings.
func TestFileConfig(t *testing.T) {
	t.Parallel()
	old := Config{
		Vars: map[string]Var{"TOKEN": {Type: secretText, Sealed: []byte("x")}, "OLD": {Type: plainText, Text: "gone"}},
		Date: "2020-01-01", More: map[string]json.RawMessage{"fail_open": json.RawMessage("false"), "limits": json.RawMessage(`{"cpu_ms":1}`)},
	}
	const bindings = `[{"name":"A","type":"plain_text","text":"a"},{"name":"J","type":"json","json":{"x":[1]}},{"name":"KV","type":"kv_namespace","namespace_id":"n"},
		{"name":"O","type":"durable_object_namespace","class_name":"C","script_name":"s"},{"name":"S","type":"service","service":"w","entrypoint":"E"},
		{"name":"Q","type":"queue","queue_name":"q"},{"name":"V","type":"version_metadata"}]`
	got, err := fileConfig(&Bundle{Metadata: json.RawMessage(`{"main_module":"m","compatibility_date":"2026-01-01","compatibility_flags":["f"],"bindings":` + bindings + `}`)}, "hash", &old)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Vars: map[string]Var{"TOKEN": old.Vars["TOKEN"], "A": {Type: plainText, Text: "a"}, "J": {Type: plainText, Text: `{"x":[1]}`}},
		Date: "2026-01-01", Flags: []string{"f"},
		Resources: map[string]map[string]json.RawMessage{
			"kv_namespaces":             {"KV": json.RawMessage(`{"namespace_id":"n"}`)},
			"durable_object_namespaces": {"O": json.RawMessage(`{"class_name":"C","service":"s"}`)},
			"services":                  {"S": json.RawMessage(`{"entrypoint":"E","service":"w"}`)},
			"queue_producers":           {"Q": json.RawMessage(`{"name":"q"}`)},
		},
		More: map[string]json.RawMessage{"fail_open": json.RawMessage("false"), configHashKey: json.RawMessage(`"hash"`)},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the settings (-want +got):\n%s", d)
	}
	if _, ok := old.More[configHashKey]; ok || old.Date != "2020-01-01" {
		t.Errorf("the old settings have changed: %+v", old)
	}
	back, err := got.bindings(func(string, []byte) (string, error) { return "secret", nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range back {
		if b["name"] == "O" && (b["script_name"] != "s" || b["class_name"] != "C") {
			t.Errorf("the objects are %v", b)
		}
	}
	for _, bad := range []string{`[]`, `{"bindings":"x"}`, `{"compatibility_flags":{}}`} {
		if _, err := fileConfig(&Bundle{Metadata: json.RawMessage(bad)}, "h", &Config{}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
