package tail

import (
	"cmp"
	"encoding/json"
	"time"
)

// orphaned is how long an invocation is followed of which only the process says
// that it began, and may not live to say that it has finished.
const orphaned = time.Hour

// defaultEntrypoint is how the default export is called in items.
const defaultEntrypoint = "default"

// Began follows an invocation of which only the process knows. It may be told twice.
// The event is {"rpcMethod": "name"}, {"scheduledTime": milliseconds} of an alarm, or
// {"request": {"url", "method", "headers", "cf"}}; with "object": true when it is one of
// a Durable Object. What is none of these is not followed.
func (h *Hub) Began(account, script, version, id, entrypoint string, event json.RawMessage) {
	if h == nil || h.watched.Load() == 0 || id == "" {
		return
	}
	var e struct {
		RPCMethod     *string `json:"rpcMethod"`
		ScheduledTime *int64  `json:"scheduledTime"`
		Request       *struct {
			URL     string            `json:"url"`
			Method  string            `json:"method"`
			Headers map[string]string `json:"headers"`
			CF      json.RawMessage   `json:"cf"`
		} `json:"request"`
		Object bool `json:"object"`
	}
	if json.Unmarshal(event, &e) != nil {
		return
	}
	var what Event
	switch {
	case e.RPCMethod != nil:
		what = RPC{Method: *e.RPCMethod}
		entrypoint = cmp.Or(entrypoint, defaultEntrypoint)
	case e.ScheduledTime != nil:
		what = Alarm{ScheduledTime: time.UnixMilli(*e.ScheduledTime).UTC().Format("2006-01-02T15:04:05.000Z")}
	case e.Request != nil:
		r := e.Request
		what = Fetch{Request: Request{URL: r.URL, Method: r.Method, Headers: r.Headers, CF: r.CF, ClientIP: r.Headers["cf-connecting-ip"]}, RayID: id}
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	inv := h.begin(account, script, version, id)
	if inv == nil {
		return
	}
	inv.event, inv.item.Entrypoint = what, entrypoint
	if e.Object {
		inv.item.ExecutionModel = DurableObject
	}
	inv.timer = time.AfterFunc(orphaned, inv.expire)
}

// expire ends an invocation of which nothing is heard any more, and sends one that
// has ended.
func (inv *Invocation) expire() {
	inv.h.mu.Lock()
	ended := inv.ended
	inv.end(inv.event, "unknown")
	inv.h.mu.Unlock()
	if ended {
		inv.send()
	}
}

// Entrypoint says which export was called; "" is the default one.
func (inv *Invocation) Entrypoint(name string) {
	if inv == nil {
		return
	}
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	inv.item.Entrypoint = name
}
