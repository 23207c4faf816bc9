package workers_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/workers"
)

// withTails opens a service whose hub is as the server makes it.
func withTails(t *testing.T) (*harness, *tail.Hub) {
	t.Helper()
	var h *harness
	hub := tail.New(tail.Options{
		Watch: func(s tail.Script, open bool) { h.Watch(s, open) },
		Deliver: func(c tail.Script, items json.RawMessage, from []tail.ConsumedEvent) {
			h.DeliverTail(c, items, from)
		},
	})
	h = open(t, t.TempDir(), func(o *workers.Options) { o.Tails = hub })
	t.Cleanup(h.end)
	t.Cleanup(hub.Close)
	return h, hub
}

func (r *fakeRuntime) told() (watched, not int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, open := range r.watched {
		if open {
			watched++
		} else {
			not++
		}
	}
	return watched, not
}

func TestProcessesAreToldThatTheyAreWatched(t *testing.T) {
	t.Parallel()
	h, hub := withTails(t)
	h.put("app", "export default {}")
	h.put("other", "export default {}")
	app := tail.Script{Account: account, Name: "app"}
	tl, err := hub.Open(app, &tail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if watched, not := h.runtime.told(); watched != 1 || not != 0 {
		t.Errorf("%d processes watched, %d not", watched, not)
	}
	h.put("app", "export default {} // new") // a process that starts meanwhile
	if watched, _ := h.runtime.told(); watched != 2 {
		t.Errorf("%d processes watched after a deploy", watched)
	}
	hub.Delete(app, tl.ID)
	if watched, not := h.runtime.told(); watched > 1 || not == 0 { // the replaced one may be gone
		t.Errorf("%d processes watched and %d not, after the tail has ended", watched, not)
	}
	if err := h.DeleteScript(t.Context(), account, "app", false); err != nil {
		t.Fatal(err)
	}
	if hub.Active() {
		t.Error("a script that is gone is watched")
	}
}

func TestTailConsumers(t *testing.T) {
	t.Parallel()
	h, hub := withTails(t)
	h.put("app", "export default {}")
	h.put("plain", "export default {}")
	patch := func(raw string) error {
		_, err := h.PatchSettings(t.Context(), account, "app", workers.SettingsPatch{TailConsumers: json.RawMessage(raw)})
		return err
	}
	for raw, code := range map[string]int{
		`[{"service":"nobody"}]`: workers.CodeInvalidConsumer, `[{"service":"plain"}]`: workers.CodeInvalidConsumer, `[{"service":"app"}]`: workers.CodeInvalidConsumer,
		`[{"service":"watcher","environment":"staging"}]`: workers.CodeNotOffered, `[{"service":"watcher","namespace":"n"}]`: workers.CodeNotOffered,
		`{"service":"watcher"}`: workers.CodeInvalidRequest, `[` + strings.Repeat(`{"service":"w"},`, 10) + `{"service":"w"}]`: workers.CodeInvalidRequest,
	} {
		wantCode(t, patch(raw), code)
	}
	h.runtime.handlers = []string{"tail"}
	h.put("watcher", "export default { tail() {} }")
	if err := patch(`[{"service":"watcher"}]`); err != nil {
		t.Fatal(err)
	}
	if got, err := h.TailProducers(t.Context(), account, "watcher"); err != nil || strings.Join(got, " ") != "app" {
		t.Errorf("producers %v, %v", got, err)
	}
	wantCode(t, h.DeleteScript(t.Context(), account, "watcher", false), workers.CodeReferenced)

	var done sync.WaitGroup
	for range 3 {
		done.Go(func() {
			if _, err := h.TriggerScheduled(t.Context(), account, "app", "* * * * *", time.Time{}); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	eventually(t, "the batch of the tail worker", func() bool {
		n := 0
		for _, e := range h.runtime.dispatched() {
			if e.script == "watcher" && e.event.Type == "tail" {
				var items []struct {
					ScriptName string `json:"scriptName"`
				}
				if err := json.Unmarshal(e.event.Events, &items); err != nil || items[0].ScriptName != "app" {
					t.Fatalf("%v: %s", err, e.event.Events)
				}
				n += len(items)
			}
		}
		return n == 3
	})
	if err := patch(`[]`); err != nil {
		t.Fatal(err)
	}
	if hub.Active() {
		t.Error("a script without tail workers is watched")
	}
	if err := h.DeleteScript(t.Context(), account, "watcher", false); err != nil {
		t.Errorf("a tail worker of nobody: %v", err)
	}
}
