package workerd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func listening(source string) *workerd.Worker {
	w := esm(source)
	w.ServiceWorker = true
	return w
}

// TestScheduledListener holds that a scheduled event reaches the listeners of a
// script as it does the handlers of a module.
func TestScheduledListener(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, listening(`addEventListener("scheduled", function (e) {
  console.log(e.cron, e.scheduledTime, e.type, e instanceof ScheduledEvent, e instanceof ExtendableEvent, typeof e.waitUntil);
  e.waitUntil(scheduler.wait(50).then(() => { console.log("later"); e.waitUntil(scheduler.wait(20).then(() => console.log("last"))) }));
  e.noRetry();
});
addEventListener("scheduled", { handleEvent(e) { console.log("object", e.cron) } });`), sink)
	began := time.Now()
	out := scheduled(t, p)
	if out.Outcome != "ok" || out.Error != nil || !out.NoRetry {
		t.Errorf("outcome %+v, error %+v", out, out.Error)
	}
	if took := time.Since(began); took < 70*time.Millisecond {
		t.Errorf("ended after %s: it did not wait for waitUntil", took)
	}
	lines := sink.waitFor(t, 4, kind(workerd.Console))
	var got []string
	for _, l := range lines {
		got = append(got, l.Message+" "+l.Ray)
	}
	want := "*/5 * * * * 1795500000000 scheduled true true function|object */5 * * * *|later|last"
	if s := strings.ReplaceAll(strings.Join(got, "|"), " "+theRay, ""); s != want || strings.Count(strings.Join(got, ""), theRay) != 4 {
		t.Errorf("logged %q\nwant   %q, each with the ray", got, want)
	}
	if status, _ := do(t, p, "/"); status != 500 {
		t.Errorf("a visitor of a script without a fetch listener gets %d", status)
	}
}

func TestScheduledListenerFails(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"throws":     "addEventListener('scheduled',\n(e) => { throw new TypeError('boom') })",
		"waitUntil":  "addEventListener('scheduled',\n(e) => e.waitUntil((async () => { throw new TypeError('boom') })()))",
		"and a page": "addEventListener('fetch', (e) => e.respondWith(new Response('x'))); addEventListener('scheduled',\n(e) => { throw new TypeError('boom') })",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := newSink()
			p := start(t, listening(source), sink)
			out := scheduled(t, p)
			if out.Outcome != "exception" || out.Error == nil || out.Error.String() != "TypeError: boom" {
				t.Errorf("outcome %+v, error %+v", out, out.Error)
			}
			l := sink.waitFor(t, 1, kind(workerd.Exception))[0]
			if l.Ray != theRay || l.Message != "TypeError: boom" || strings.Contains(l.Stack, "selvage") || !strings.Contains(l.Stack, ":2:") {
				t.Errorf("the exception's line is %+v", l)
			}
		})
	}
}

// TestListeners holds that what a script does with listeners works as it does in
// the runtime alone.
func TestListeners(t *testing.T) {
	t.Parallel()
	p := start(t, listening(`const heard = [];
function removed(e) { heard.push("removed") }
addEventListener("fetch", removed); removeEventListener("fetch", removed);
function twice() { heard.push("twice") }
addEventListener("fetch", twice); addEventListener("fetch", twice);
addEventListener("fetch", { handleEvent(e) { heard.push("object " + (this.handleEvent !== undefined)) } });
self.addEventListener("fetch", (e) => { heard.push("once") }, { once: true });
addEventListener("own", (e) => heard.push("own " + (e.constructor === Event)));
let wrong; try { addEventListener("fetch", 5) } catch (e) { wrong = e.name }
addEventListener("fetch", (e) => {
  dispatchEvent(new Event("own"));
  const said = heard.splice(0).concat(wrong, addEventListener.name, addEventListener.length);
  if (e.request.url.endsWith("/pass")) return;
  e.respondWith(new Response(JSON.stringify(said)));
  heard.push("" + e.defaultPrevented);
});
addEventListener("fetch", (e) => heard.push("too late"));`), newSink())
	for i, want := range []string{
		`["twice","object true","once","own true","TypeError","addEventListener",0]`,
		`["false","twice","object true","own true","TypeError","addEventListener",0]`,
	} {
		_, body := do(t, p, "/")
		var list []any
		if err := json.Unmarshal([]byte(body), &list); err != nil || body != want {
			t.Errorf("answer %d: %s\nwant     %s", i, body, want)
		}
	}
}

// TestTailListener holds the same of the events of other workers.
func TestTailListener(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, listening(`addEventListener("tail", (e) => console.log(e.type, e.events.length, e.events[0].event.request.getUnredacted().url, e instanceof TailEvent));
addEventListener("trace", (e) => console.log(e.type, e.traces[0].outcome));`), sink)
	out, err := p.Dispatch(t.Context(), theRay, &workerd.Event{Type: workerd.EventTail, Events: json.RawMessage(`[{"outcome":"ok","event":{"request":{"url":"http://x/","unredacted":{"url":"http://x/?y"}}}}]`)})
	if err != nil || out.Outcome != "ok" {
		t.Fatal(out, err)
	}
	lines := sink.waitFor(t, 2, kind(workerd.Console))
	if lines[0].Message != "tail 1 http://x/?y true" || lines[1].Message != "trace ok" {
		t.Errorf("lines %+v", lines)
	}
}
