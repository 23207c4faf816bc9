package pages

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzConfig patches an environment with whatever comes. What is accepted can be written, read again and made into
// bindings; no secret is among what is stored in the clear.
func FuzzConfig(f *testing.F) {
	f.Add(`{"env_vars":{"A":{"type":"plain_text","value":"x"},"S":{"type":"secret_text","value":"hush-hush"}}}`, `{"env_vars":{"A":null,"S":{"type":"secret_text","value":""}}}`)
	f.Add(`{"kv_namespaces":{"KV":{"namespace_id":"0"}},"d1_databases":{"DB":{"id":"1"}},"services":{"A":{"service":"a","entrypoint":null}}}`, `{"kv_namespaces":{"KV":null}}`)
	f.Add(`{"compatibility_date":"2026-01-01","compatibility_flags":["nodejs_compat"],"fail_open":true,"limits":{"cpu_ms":50}}`, `{"limits":null,"placement":{"mode":"smart"}}`)
	f.Add(`{"env_vars":[],"services":{"1":1}}`, `null`)
	seal := func(_, text string) ([]byte, error) {
		return []byte(strings.ToUpper("sealed") + "\x00" + string(rune(len(text)))), nil
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		var c Config
		for _, text := range []string{first, second} {
			var patch map[string]json.RawMessage
			if json.Unmarshal([]byte(text), &patch) != nil {
				return
			}
			next, err := c.patch(patch, seal)
			if _, ok := errors.AsType[*Error](err); err != nil && !ok {
				t.Fatalf("an error that says nothing to the user: %v", err)
			}
			if err == nil {
				c = next
			}
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("what was accepted cannot be stored: %v", err)
		}
		var again Config
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		for name, v := range again.Vars {
			if v.Secret() && v.Text != "" {
				t.Fatalf("the secret %s is stored in the clear", name)
			}
		}
		bindings, err := again.bindings(func(string, []byte) (string, error) { return "opened", nil })
		if err != nil {
			t.Fatalf("what was accepted are no bindings: %v", err)
		}
		if _, err := json.Marshal(bindings); err != nil {
			t.Fatal(err)
		}
	})
}
