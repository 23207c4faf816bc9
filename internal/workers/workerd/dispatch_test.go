package workerd_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const theRay = "0123456789abcdef"

func scheduled(t *testing.T, p *workerd.Process) workerd.Outcome {
	t.Helper()
	out, err := p.Dispatch(t.Context(), theRay, &workerd.Event{Type: workerd.EventScheduled, Cron: "*/5 * * * *", ScheduledTime: 1795500000000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func console(text string) func(workerd.LogLine) bool {
	return func(l workerd.LogLine) bool {
		return l.Kind == workerd.Console && strings.Contains(l.Message, text)
	}
}

func TestScheduled(t *testing.T) {
	t.Parallel()
	const object = `export default {
  greeting: "hello",
  async scheduled(controller, env, ctx) {
    console.log(this.greeting, controller.cron, controller.scheduledTime, controller.type, env.WORD, typeof ctx.waitUntil);
    ctx.waitUntil(scheduler.wait(50).then(() => { console.log("later"); ctx.waitUntil(scheduler.wait(20).then(() => console.log("last"))) }));
    controller.noRetry();
  } }`
	const class = `import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  greeting = "hello";
  async scheduled(controller) {
    console.log(this.greeting, controller.cron, controller.scheduledTime, controller.type, this.env.WORD, typeof this.ctx.waitUntil);
    this.ctx.waitUntil(scheduler.wait(50).then(() => { console.log("later"); this.ctx.waitUntil(scheduler.wait(20).then(() => console.log("last"))) }));
    controller.noRetry();
  } }`
	for name, source := range map[string]string{"object": object, "class": class, "with fetch": strings.Replace(object, "greeting:", "fetch() { return new Response('x') }, greeting:", 1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := newSink()
			w := esm(source)
			w.Bindings = []workerd.Binding{{Name: "WORD", Kind: workerd.TextBinding, Text: "w"}}
			p := start(t, w, sink)
			began := time.Now()
			out := scheduled(t, p)
			if out.Outcome != "ok" || out.Error != nil || !out.NoRetry {
				t.Errorf("outcome %+v, error %+v", out, out.Error)
			}
			if took := time.Since(began); took < 70*time.Millisecond {
				t.Errorf("ended after %s: it did not wait for waitUntil", took)
			}
			lines := sink.waitFor(t, 3, func(l workerd.LogLine) bool { return l.Kind == workerd.Console })
			if want := "hello */5 * * * * 1795500000000 scheduled w function"; lines[0].Message != want || lines[0].Ray != theRay {
				t.Errorf("logged %q with ray %q, want %q", lines[0].Message, lines[0].Ray, want)
			}
			if lines[2].Message != "last" || lines[2].Ray != theRay {
				t.Errorf("the last line is %+v", lines[2])
			}
		})
	}
}

func TestScheduledFails(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, esm(`export default {
  async scheduled(controller, env, ctx) {
    switch (controller.cron) {
      case "*/5 * * * *": throw new TypeError("boom");
    }
  }, fetch() {} }`), sink)
	out := scheduled(t, p)
	if out.Outcome != "exception" || out.Error == nil || out.Error.String() != "TypeError: boom" {
		t.Errorf("outcome %+v, error %+v", out, out.Error)
	}
	line := sink.waitFor(t, 1, func(l workerd.LogLine) bool { return l.Kind == workerd.Exception })[0]
	if line.Ray != theRay || line.Message != "TypeError: boom" || line.ErrorName != "TypeError" || line.ErrorMessage != "boom" ||
		!strings.Contains(line.Stack, "index.js:4") || strings.Contains(line.Stack, "selvage") {
		t.Errorf("the exception's line is %+v", line)
	}
}

// TestBackgroundFailure holds that a rejected promise given to waitUntil is the
// outcome of the whole.
func TestBackgroundFailure(t *testing.T) {
	t.Parallel()
	p := start(t, esm(`export default { scheduled(c, e, ctx) { ctx.waitUntil(scheduler.wait(10).then(() => { throw { toString() { throw 1 } } })) } }`), nil)
	if out := scheduled(t, p); out.Outcome != "exception" || out.Error == nil {
		t.Errorf("outcome %+v", out)
	}
}

func TestNoHandler(t *testing.T) {
	t.Parallel()
	p := start(t, esm(`export default { fetch() { return new Response("x") } }`), nil)
	if out := scheduled(t, p); out.Outcome != "exception" || out.Error.Message != "Handler does not export a scheduled() function." {
		t.Errorf("outcome %+v", out)
	}
	p = start(t, esm(`export class Other {}`), nil)
	if _, err := p.Dispatch(t.Context(), theRay, &workerd.Event{Type: workerd.EventScheduled}); !errors.Is(err, workerd.ErrNoDispatch) {
		t.Errorf("error %v, want ErrNoDispatch", err)
	}
}

// TestDispatchIsNotForVisitors holds that neither a request nor the worker itself
// gets at the dispatcher, and that a worker without fetch has none.
func TestDispatchIsNotForVisitors(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, esm(`export default { scheduled() { console.log("ran") } }`), sink)
	for _, header := range []string{"", "!", "!0123456789abcdef0123456789abcdef", theRay} {
		if status, _ := do(t, p, "/", "CF-Ray: "+header); status != 500 {
			t.Errorf("status %d with the ray %q, want 500: there is no fetch handler", status, header)
		}
	}
	q := start(t, esm(`import { exports } from "cloudflare:workers";
export default { async scheduled() { console.log("ran") }, async fetch(req, env, ctx) { return Response.json([Object.keys(env), Object.keys(ctx.exports ?? {}), Object.keys(exports ?? {}), Object.keys(this), "fetch" in this]) } }`), sink)
	var seen [][]string
	_, body := do(t, q, "/", "CF-Ray: "+theRay)
	_ = json.Unmarshal([]byte(body), &seen)
	if strings.Contains(body, "selvage") || len(seen) < 1 || len(seen[0]) != 0 {
		t.Errorf("the worker sees %s", body)
	}
	if out := scheduled(t, q); out.Outcome != "ok" {
		t.Errorf("outcome %+v", out)
	}
	if lines := sink.waitFor(t, 1, console("ran")); len(lines) != 1 {
		t.Errorf("the handler ran %d times", len(lines))
	}
}

func TestDispatchIsCancelled(t *testing.T) {
	t.Parallel()
	p := start(t, esm(`export default { async scheduled() { await scheduler.wait(60000) } }`), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Dispatch(ctx, theRay, &workerd.Event{Type: workerd.EventScheduled}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestTailEvent(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, esm(`export default { tail(events, env, ctx) {
  for (const e of events) console.log(JSON.stringify(e), e.event.request.headers.cookie, e.event.request.getUnredacted().headers.cookie, e.event.request.getUnredacted().method);
} }`), sink)
	events := `[{"outcome":"ok","event":{"request":{"method":"GET","headers":{"cookie":"REDACTED"},"unredacted":{"headers":{"cookie":"a=b"}}}}}]`
	out, err := p.Dispatch(t.Context(), theRay, &workerd.Event{Type: workerd.EventTail, Events: json.RawMessage(events)})
	if err != nil || out.Outcome != "ok" {
		t.Fatalf("outcome %+v, error %v", out, err)
	}
	line := sink.waitFor(t, 1, console("outcome"))[0]
	if want := `{"outcome":"ok","event":{"request":{"method":"GET","headers":{"cookie":"REDACTED"}}}} REDACTED a=b GET`; line.Message != want {
		t.Errorf("it saw %s\nwant %s", line.Message, want)
	}
}

// TestWatch holds what a process says while a tail is open, and that it says
// nothing of it otherwise.
func TestWatch(t *testing.T) {
	t.Parallel()
	sink := newSink()
	p := start(t, esm(`export default { async fetch(req, env, ctx) {
  const circular = {}; circular.self = circular;
  console.log("x", { a: 1 }, [1, "%s"], new Error("boo"), undefined, null, new Map(), 1n, Symbol("s"), { toJSON() { return "j" } }, circular);
  console.error("bad", "\x01");
  ctx.waitUntil(scheduler.wait(60).then(() => console.warn("later")));
  if (req.url.endsWith("/throw")) throw new RangeError("no");
  return new Response("ok");
} }`), sink)
	do(t, p, "/", "CF-Ray: "+theRay)
	plain := sink.waitFor(t, 3, func(l workerd.LogLine) bool { return l.Kind == workerd.Console })
	for _, l := range sink.all() {
		if l.Args != nil || l.Kind == workerd.Finished {
			t.Errorf("told without being asked: %+v", l)
		}
	}
	if err := p.Watch(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/throw"} {
		before := len(sink.all())
		do(t, p, path, "CF-Ray: "+theRay)
		sink.waitFor(t, before+4, func(workerd.LogLine) bool { return true })
		lines := sink.all()[before:]
		for end := time.Now().Add(2 * time.Second); lines[len(lines)-1].Kind != workerd.Finished && time.Now().Before(end); lines = sink.all()[before:] {
			time.Sleep(10 * time.Millisecond)
		}
		want := `["x",{"a":1},[1,"%s"],"Error: boo",null,null,"[object Map]","1",{},"j","[object Object]"]`
		if string(lines[0].Args) != want || lines[0].Message != plain[0].Message {
			t.Errorf("%s: args\n%s, want\n%s\nmessage %q", path, lines[0].Args, want, lines[0].Message)
		}
		if last := lines[len(lines)-1]; last.Kind != workerd.Finished || last.Ray != theRay {
			t.Errorf("%s: the last line is %+v", path, last)
		}
		if warn := lines[len(lines)-2]; string(warn.Args) != `["later"]` {
			t.Errorf("%s: the line before is %+v", path, warn)
		}
	}
	if err := p.Watch(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	before := len(sink.all())
	do(t, p, "/", "CF-Ray: "+theRay)
	for _, l := range sink.waitFor(t, before+3, func(workerd.LogLine) bool { return true })[before:] {
		if l.Args != nil || l.Kind == workerd.Finished {
			t.Errorf("told after it was over: %+v", l)
		}
	}
}
