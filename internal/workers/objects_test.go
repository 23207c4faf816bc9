package workers_test

import (
	"fmt"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers"
)

const counterClass = `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async inc() { const n = (await this.ctx.storage.get("n") ?? 0) + 1; await this.ctx.storage.put("n", n); return n; }
}
export default { async fetch(request, env) { return new Response(%q + await env.COUNTER.getByName("a").inc()); } };`

const counterBinding = `{"name":"COUNTER","type":"durable_object_namespace","class_name":"Counter"}`

func (h *harness) counter(tag string, m *workers.Migrations) *workers.Upload {
	h.t.Helper()
	u := h.esm(fmt.Sprintf(counterClass, tag), counterBinding)
	u.Migrations = m
	return u
}

func TestRealObjects(t *testing.T) {
	h := newRealHarness(t)
	first := &workers.Migrations{NewTag: "v1", Steps: []workers.MigrationStep{{NewSQLite: []string{"Counter"}}}}
	if _, err := h.PutScript(t.Context(), account, "w1", h.counter("a", first)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.SetSubdomain(t.Context(), account, "w1", true, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		want := fmt.Sprintf("%s%d", string(rune('a'+i)), i+1)
		if got, err := h.get(h.host("w1")); err != nil || got != want {
			t.Fatalf("answer = %q, %v; want %q", got, err, want)
		}
		if _, err := h.PutScript(t.Context(), account, "w1", h.counter(string(rune('b'+i)), nil)); err != nil {
			t.Fatal(err)
		}
	}
}
