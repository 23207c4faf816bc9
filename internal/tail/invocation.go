package tail

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
)

const (
	// An item holds at most maxSize bytes of logs and exceptions, as on the original
	// platform.
	maxSize = 256 << 10
	// The two output streams of a process are read by two goroutines: what was
	// said before an end may come a moment after it.
	settling = 30 * time.Millisecond
	// For silent, lines are waited for that a process writes which does not
	// say when an invocation has finished.
	silent = 300 * time.Millisecond
	// At most maxRunning invocations are followed at a time, of all scripts.
	maxRunning = 20_000
)

// Line is a line of a process's log.
type Line struct {
	Time  time.Time
	Level string
	Text  string
	Args  json.RawMessage // a JSON array; nil when only the text is known

	// Of an exception.
	Exception            bool
	Name, Message, Stack string

	// Finished says that the handler and all that it gave to waitUntil have ended.
	Finished bool
	// Status, of Finished, is that of the answer; 0 when there is none.
	Status int
}

// Invocation is one run of a handler that somebody watches.
type Invocation struct {
	h      *Hub
	topic  *topic
	script Script
	ray    string
	began  time.Time
	meter  meter
	// as is the version that it was begun with.
	as string
	// event is set when the process itself said that it began: then it ends when the
	// process says that it has finished.
	event Event

	// Under Hub.mu from here on.
	item     Item
	size     int
	tells    bool
	ended    bool
	finished time.Time
	timer    *time.Timer
	sent     bool
}

// Begin follows an invocation from now on; it is nil, which every method takes,
// when nobody watches the script. The ray must be unique among those under way.
func (h *Hub) Begin(account, script, version, ray string) *Invocation {
	if h == nil || h.watched.Load() == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.begin(account, script, version, ray)
}

func (h *Hub) begin(account, script, version, ray string) *Invocation {
	s := Script{account, script}
	t := h.topics[s]
	if t == nil || len(h.rays) >= maxRunning || h.rays[ray] != nil {
		return nil
	}
	inv := &Invocation{
		h: h, topic: t, script: s, ray: ray, began: time.Now(), tells: h.tells[s][version], as: version,
		item: Item{ExecutionModel: Stateless, ScriptName: script},
	}
	if version != "" {
		inv.item.ScriptVersion = &Version{ID: version}
	}
	inv.item.fill()
	h.rays[ray] = inv
	t.running[version] = append(t.running[version], inv)
	return inv
}

// Version says which version runs the invocation, if that was not known when it
// began.
func (inv *Invocation) Version(id string) {
	if inv == nil {
		return
	}
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	inv.item.ScriptVersion = &Version{ID: id}
}

// Line adds a line that a version's process wrote. One without a ray belongs to
// the version's only invocation, if there is just one: scripts in service-worker
// syntax write no rays.
func (h *Hub) Line(account, script, version, ray string, l *Line) {
	if h == nil || h.watched.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	inv := h.rays[ray]
	if ray == "" {
		if t := h.topics[Script{account, script}]; t != nil && len(t.running[version]) == 1 {
			inv = t.running[version][0]
		}
	}
	if inv == nil || inv.script != (Script{account, script}) { // a ray can be forged
		return
	}
	if l.Finished {
		inv.finished = time.Now()
		if inv.event != nil {
			if fetch, ok := inv.event.(Fetch); ok && l.Status != 0 {
				fetch.Response = &Response{Status: l.Status}
				inv.event = fetch
			}
			inv.end(inv.event, "ok") // exceptions make it another
		} else if inv.ended {
			inv.sendAfter(settling)
		}
		return
	}
	inv.add(l)
}

func (inv *Invocation) add(l *Line) {
	if inv.size += len(l.Args) + len(l.Text) + len(l.Message) + len(l.Stack); inv.size > maxSize {
		inv.item.Truncated = true
		return
	}
	if l.Exception {
		inv.item.Exceptions = append(inv.item.Exceptions, Exception{Name: orError(l.Name), Message: l.Message, Stack: l.Stack, Timestamp: l.Time.UnixMilli()})
		return
	}
	args := l.Args
	if args == nil {
		args, _ = json.Marshal([]string{l.Text}) // a string always marshals
	}
	inv.item.Logs = append(inv.item.Logs, Log{Message: args, Level: l.Level, Timestamp: l.Time.UnixMilli()})
}

// orError is the name that is shown of what was thrown and is no Error.
func orError(name string) string {
	if name == "" {
		return "Error"
	}
	return name
}

// End says what the invocation was for and how it ended. Its item is sent when what
// it gave to waitUntil has ended, too, or Options.Wait later.
func (inv *Invocation) End(e Event, outcome string) {
	if inv == nil {
		return
	}
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	inv.end(e, outcome)
}

// end does what End does. The caller holds h.mu.
func (inv *Invocation) end(e Event, outcome string) {
	if inv.ended {
		return
	}
	inv.ended = true
	inv.item.Event, inv.item.Outcome = e, outcome
	inv.item.WallTime = time.Since(inv.began).Milliseconds()
	switch {
	case !inv.finished.IsZero():
		inv.sendAfter(settling)
	case !inv.tells, outcome != "ok" && outcome != "exception":
		inv.sendAfter(silent) // nothing more may come, or nobody will say so
	default:
		inv.sendAfter(inv.h.o.Wait)
	}
}

// Drop forgets the invocation: no worker was asked.
func (inv *Invocation) Drop() {
	if inv == nil {
		return
	}
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	inv.forget()
}

// sendAfter sends the item after a while. The caller holds h.mu.
func (inv *Invocation) sendAfter(d time.Duration) {
	if inv.timer != nil {
		inv.timer.Reset(d)
		return
	}
	inv.timer = time.AfterFunc(d, inv.send)
}

func (inv *Invocation) forget() {
	inv.sent = true
	delete(inv.h.rays, inv.ray)
	version := inv.as
	running := inv.topic.running[version]
	if i := slices.Index(running, inv); i >= 0 {
		running = slices.Delete(running, i, i+1)
	}
	if len(running) == 0 {
		delete(inv.topic.running, version)
	} else {
		inv.topic.running[version] = running
	}
}

// send makes the item of what is there and hands it to those who watch.
func (inv *Invocation) send() {
	h := inv.h
	h.mu.Lock()
	if inv.sent {
		h.mu.Unlock()
		return
	}
	inv.forget()
	it := &inv.item
	if !inv.finished.IsZero() {
		it.WallTime = max(it.WallTime, inv.finished.Sub(inv.began).Milliseconds())
	}
	it.CPUTime = inv.meter.estimate().Milliseconds()
	it.EventTimestamp = inv.began.UnixMilli()
	if it.Outcome == "ok" && len(it.Exceptions) > 0 {
		it.Outcome = "exception"
	}
	tails := make([]*Tail, 0, len(inv.topic.tails))
	for _, t := range inv.topic.tails {
		tails = append(tails, t)
	}
	consumers := inv.topic.consumers
	h.mu.Unlock()

	var text []byte
	for _, t := range tails {
		if !t.filter.Matches(it) {
			continue
		}
		if text == nil {
			var err error
			if text, err = it.JSON(); err != nil || !utf8.Valid(text) {
				return // it was made of what is JSON
			}
		}
		t.offer(text)
	}
	if _, own := it.Event.(Consumed); !own { // or there would be loops
		h.consumers.add(consumers, it)
	}
}
