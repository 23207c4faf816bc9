package workers_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func TestRateLimitBindings(t *testing.T) {
	h := newHarness(t)
	d, err := h.PutScript(t.Context(), account, "w1", h.esm("export default {}",
		`{"name":"A","type":"ratelimit","namespace_id":"1001","simple":{"limit":100,"period":60}}`,
		`{"name":"B","type":"ratelimit","namespace_id":"7","simple":{"limit":1,"period":10}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []workers.RateLimit{
		{Binding: "A", Namespace: "1001", Limit: 100, Period: 60},
		{Binding: "B", Namespace: "7", Limit: 1, Period: 10},
	}
	if diff := cmp.Diff(want, h.doors.last.RateLimits); diff != "" {
		t.Errorf("the doors are told (-want +got):\n%s", diff)
	}
	if got := string(d.Version.Bindings[0]); got != `{"name":"A","type":"ratelimit","namespace_id":"1001","simple":{"limit":100,"period":60}}` {
		t.Errorf("the API shows %s", got)
	}
	b := h.runtime.last.Bindings[0]
	if b.Kind != workerd.WrappedBinding || b.Wrapped.Module != workerd.ModuleRateLimit || b.Wrapped.Inner[0].Socket != workerd.RateLimitSocket {
		t.Errorf("the runtime gets %+v", b)
	}
}

func TestRateLimitBindingsRefused(t *testing.T) {
	h := newHarness(t)
	for rest, want := range map[string]string{
		``:                                   `"simple"`,
		`,"namespace_id":"1"`:                `"simple"`,
		`,"simple":{"limit":1}`:              `"simple"`,
		`,"simple":{"period":10}`:            `"simple"`,
		`,"simple":{"limit":{},"period":10}`: `"simple"`,
		`,"simple":{"limit":1,"period":10}`:  "namespace_id",
		`,"namespace_id":"","simple":{"limit":1,"period":10}`:                     "namespace_id",
		`,"namespace_id":"0","simple":{"limit":1,"period":10}`:                    "namespace_id",
		`,"namespace_id":"-1","simple":{"limit":1,"period":10}`:                   "namespace_id",
		`,"namespace_id":"01","simple":{"limit":1,"period":10}`:                   "namespace_id",
		`,"namespace_id":"a b","simple":{"limit":1,"period":10}`:                  "namespace_id",
		`,"namespace_id":"1","simple":{"limit":0,"period":10}`:                    "limit 0",
		`,"namespace_id":"1","simple":{"limit":-5,"period":10}`:                   "limit -5",
		`,"namespace_id":"1","simple":{"limit":1.5,"period":10}`:                  "limit 1.5",
		`,"namespace_id":"1","simple":{"limit":99999999999999999999,"period":10}`: "limit",
		`,"namespace_id":"1","simple":{"limit":1,"period":0}`:                     "period 0",
		`,"namespace_id":"1","simple":{"limit":1,"period":30}`:                    "period 30",
		`,"namespace_id":"1","simple":{"limit":1,"period":60.5}`:                  "period 60.5",
	} {
		_, err := h.PutScript(t.Context(), account, "w1", h.esm("export default {}", `{"name":"RL","type":"ratelimit"`+rest+`}`))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"RL"`) {
			t.Errorf("%s: %v, want it to name %q", rest, err, want)
			continue
		}
		wantOneOf(t, err, workers.CodeInvalidScript)
	}
}

// TestNotOffered holds that every type of binding is either offered or refused by
// name with what to do instead.
func TestNotOffered(t *testing.T) {
	// The types that wrangler sends, with what makes the upload of each that is
	// offered a valid one.
	offered := map[string]string{
		"plain_text": `"text":""`, "json": `"json":1`, "secret_text": `"text":""`, "version_metadata": "", "assets": "",
		"wasm_module": `"part":"m"`, "text_blob": `"part":"m"`, "data_blob": `"part":"m"`, "inherit": "",
		"ratelimit": `"namespace_id":"1","simple":{"limit":1,"period":10}`,
	}
	all := strings.Fields(`plain_text json secret_text secret_key kv_namespace d1 r2_bucket vectorize ai queue service durable_object_namespace
		workflow hyperdrive analytics_engine ratelimit send_email browser images version_metadata assets worker_loader stream media
		secrets_store_secret dispatch_namespace mtls_certificate pipelines ai_search ai_search_namespace agent_memory vpc_service
		vpc_network logfwdr artifacts flagship k2 wasm_module text_blob data_blob inherit`)
	refused := 0
	for _, typ := range all {
		if _, ok := offered[typ]; ok {
			if hint := workers.NotOffered()[typ]; hint != "" {
				t.Errorf("%s is offered and refused", typ)
			}
			continue
		}
		if workers.NotOffered()[typ] == "" {
			continue // offered by now; its own tests say how
		}
		refused++
		h := newHarness(t)
		_, err := h.PutScript(t.Context(), account, "w1", h.esm("export default {}", `{"name":"X","type":"`+typ+`"}`))
		if err == nil || !strings.Contains(err.Error(), `"X"`) || !strings.Contains(err.Error(), `"`+typ+`"`) {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		wantOneOf(t, err, workers.CodeNotOffered)
	}
	if refused != len(workers.NotOffered()) {
		t.Errorf("the table refuses %d types, of which %d are types that wrangler sends", len(workers.NotOffered()), refused)
	}
	for typ, want := range map[string]string{"unsafe_hello": "internal type", "nonsense": "does not know", strings.Repeat("x", 5000): "does not know"} {
		h := newHarness(t)
		_, err := h.PutScript(t.Context(), account, "w1", h.esm("export default {}", `{"name":"X","type":"`+typ+`"}`))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("%.20s: %.1000v", typ, err)
		}
	}
}
