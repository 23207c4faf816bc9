package workers_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func serviceBindingOf(more string) string {
	return `{"name":"API","type":"service","service":"callee"` + more + `}`
}

// callee returns the far end of the only service binding of the process that was
// started last.
func (h *harness) callee() *workers.Callee {
	h.t.Helper()
	h.doors.mu.Lock()
	defer h.doors.mu.Unlock()
	if n := len(h.doors.last.Services); n != 1 {
		h.t.Fatalf("%d doors lead to services, want 1", n)
	}
	return h.doors.last.Services[0].Callee
}

func (h *harness) lastSockets() []workerd.Socket {
	h.runtime.mu.Lock()
	defer h.runtime.mu.Unlock()
	return h.runtime.last.Sockets
}

func TestServiceBindingRefused(t *testing.T) {
	h := newHarness(t)
	h.put("callee", "export default 0")
	for binding, want := range map[string]struct {
		code int
		text string
	}{
		`{"name":"API","type":"service","service":"nobody"}`: {workers.CodeServiceMissing, "Could not resolve service binding 'API'. Target script 'nobody' not found. Please verify the target script and try again."},
		`{"name":"API","type":"service"}`:                    {workers.CodeInvalidScript, "names no Worker"},
		`{"name":"API","type":"service","service":7}`:        {workers.CodeInvalidScript, "not understood"},
		serviceBindingOf(`,"environment":"staging"`):         {workers.CodeNotOffered, "staging"},
		serviceBindingOf(`,"props":[1]`):                     {workers.CodeInvalidScript, "not an object"},
		serviceBindingOf(`,"entrypoint":"Nope"`):             {workers.CodeServiceMissing, "has no entrypoint 'Nope'"},
	} {
		_, err := h.PutScript(t.Context(), account, "caller", h.esm("export default 1", binding))
		if e := wantCode(t, err, want.code); !strings.Contains(e.Message, want.text) {
			t.Errorf("%s: %s", binding, e.Message)
		}
	}
}

// TestServiceToItself holds that a worker that binds itself can be deployed the
// first time, and does so inside its process.
func TestServiceToItself(t *testing.T) {
	h := newHarness(t)
	h.put("caller", "export default 0", `{"name":"SELF","type":"service","service":"caller","entrypoint":"Other","props":{"b":1, "a":2}}`)
	want := workerd.Binding{Name: "SELF", Kind: workerd.SelfBinding, Entrypoint: "Other", Props: `{"a":2,"b":1}`}
	if got := h.runtime.last.Bindings[0]; got.Name != want.Name || got.Kind != want.Kind || got.Entrypoint != want.Entrypoint || got.Props != want.Props {
		t.Errorf("binding %+v", got)
	}
	if refs, err := h.References(t.Context(), account, "caller"); err != nil || !refs.Empty() {
		t.Errorf("references %v, %v", refs, err)
	}
}

func TestServiceReferences(t *testing.T) {
	h := newHarness(t)
	h.put("callee", "export default 0")
	for _, name := range []string{"one", "two"} {
		h.put(name, "export default 1", serviceBindingOf(""))
	}
	refs, err := h.References(t.Context(), account, "callee")
	if err != nil || !slices.Equal(refs.ServicesIncoming, []string{"one", "two"}) {
		t.Errorf("references %v, %v", refs, err)
	}
	wantCode(t, h.DeleteScript(t.Context(), account, "callee", false), workers.CodeReferenced)
	h.put("two", "export default 2") // without the binding
	if refs, err = h.References(t.Context(), account, "callee"); err != nil || !slices.Equal(refs.ServicesIncoming, []string{"one"}) {
		t.Errorf("references %v, %v", refs, err)
	}
	h.put("one", "export default 11", serviceBindingOf(""))
	c := h.callee()
	if err := h.DeleteScript(t.Context(), account, "callee", true); err != nil {
		t.Fatal(err)
	}
	if v := c.Choose(t.Context()); v != "" {
		t.Errorf("a deleted worker is version %s", v)
	}
	_, err = c.Acquire(t.Context(), "")
	wantCode(t, err, workers.CodeNotFound)
}

// TestServiceFollowsDeployments holds that the next call goes to the version that
// is live, on a process that has a socket for what the caller names.
func TestServiceFollowsDeployments(t *testing.T) {
	h := newHarness(t)
	first := h.put("callee", "export default 0").Version.ID
	if n := len(h.lastSockets()); n != 1 {
		t.Fatalf("%d sockets that nobody calls, want the default one", n)
	}
	h.put("caller", "export default 1", serviceBindingOf(`,"entrypoint":"Api","props":{"x":1}`))
	c := h.callee()
	starts := h.runtime.count()
	if v := c.Choose(t.Context()); v != first {
		t.Fatalf("version %q, want %q", v, first)
	}
	e, err := c.Acquire(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if h.runtime.count() != starts+1 {
		t.Error("the process without the socket was not replaced")
	}
	if s := h.lastSockets(); len(s) != 2 || s[1].Entrypoint != "Api" || s[1].Props != `{"x":1}` {
		t.Errorf("sockets %+v", s)
	}

	// The next version's process has the socket at once, and the old one stays
	// as long as it is held.
	second := h.put("callee", "export default 2").Version.ID
	if s := h.lastSockets(); len(s) != 2 {
		t.Errorf("sockets of the next version %+v", s)
	}
	if v := c.Choose(t.Context()); v != second {
		t.Errorf("after a deploy: version %q, want %q", v, second)
	}
	<-e.Stopping()
	if e.Acquire() {
		t.Error("a process that stops takes calls")
	}
	if n := len(h.runtime.live()); n != 3 {
		t.Errorf("%d processes with a call on the old one, want 3", n)
	}
	e.Release()
	eventually(t, "the old process ends", func() bool { return len(h.runtime.live()) == 2 })

	// By shares, in a gradual deployment.
	third, err := h.CreateVersion(t.Context(), account, "callee", h.esm("export default 3"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Deploy(t.Context(), account, "callee", workers.DeployRequest{Versions: []workers.DeploymentVersion{
		{VersionID: second, Percentage: 50}, {VersionID: third.ID, Percentage: 50},
	}}); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for range 400 {
		seen[c.Choose(t.Context())]++
	}
	if len(seen) != 2 || seen[second] < 120 || seen[third.ID] < 120 {
		t.Errorf("shares of 50 and 50 gave %v", seen)
	}
	if _, err := h.Deploy(t.Context(), account, "callee", workers.DeployRequest{Versions: []workers.DeploymentVersion{{VersionID: first, Percentage: 100}}}); err != nil {
		t.Fatal(err)
	}
	if v := c.Choose(t.Context()); v != first {
		t.Errorf("after a rollback: version %q, want %q", v, first)
	}
}

// TestServiceNotThere holds that what is known to be missing is said at the call.
func TestServiceNotThere(t *testing.T) {
	h := newHarness(t)
	h.put("callee", "export default 0")
	h.put("caller", "export default 1", serviceBindingOf(`,"entrypoint":"Api"`))
	c := h.callee()
	h.runtime.mu.Lock()
	h.runtime.entrypoints = []string{"Else"}
	h.runtime.mu.Unlock()
	v := h.put("callee", "export default 2").Version.ID
	_, err := c.Acquire(t.Context(), v)
	if e := wantCode(t, err, workers.CodeNotFound); !strings.Contains(e.Message, `"Api"`) {
		t.Error(e.Message)
	}
}

// TestServiceCircle holds that calls on a circle of bindings are bounded, and
// others are not (by much).
func TestServiceCircle(t *testing.T) {
	h := newHarness(t)
	h.put("callee", "export default 0")
	h.put("caller", "export default 1", serviceBindingOf(""))
	c := h.callee()
	begin := func() (n int) {
		for range 5000 {
			if err := c.Begin(t.Context()); err != nil {
				wantCode(t, err, workers.CodeDepth)
				break
			}
			n++
		}
		var wg sync.WaitGroup
		for range n {
			wg.Go(c.End)
		}
		wg.Wait()
		return n
	}
	if n := begin(); n != 5000 {
		t.Errorf("%d calls without a circle, want as many as there are", n)
	}
	h.put("middle", "export default 2", `{"name":"BACK","type":"service","service":"caller"}`)
	h.put("callee", "export default 3", `{"name":"ON","type":"service","service":"middle"}`)
	if n := begin(); n != 4096 {
		t.Errorf("%d calls on a circle, want 4096", n)
	}
	h.put("middle", "export default 4")
	if n := begin(); n != 5000 {
		t.Errorf("%d calls after the circle was opened", n)
	}
}
