package workerd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/upstream"
)

// Events that come in by [Process.Dispatch], by the names of their handlers.
const (
	EventScheduled = "scheduled"
	EventTail      = "tail"
	eventWatch     = "watch"
	eventListeners = "listeners"
)

// maxOutcome bounds the answer to a dispatched event, in bytes.
const maxOutcome = 256 << 10

// ErrNoDispatch says that a worker's handlers cannot be called from outside of the
// runtime: it has no default export.
var ErrNoDispatch = errors.New("workerd: the worker has no default export whose handlers could be called")

// Event is one event for a handler that no connection can bring.
type Event struct {
	Type string `json:"type"` // EventScheduled or EventTail

	// Of EventScheduled: the expression, and the minute in milliseconds since 1970.
	Cron          string `json:"cron,omitempty"`
	ScheduledTime int64  `json:"scheduledTime,omitempty"`

	// Events, of EventTail, is a JSON array of trace items.
	Events json.RawMessage `json:"events,omitempty"`

	// Open, of a watch, says whether a tail is open.
	Open bool `json:"open,omitempty"`
}

// Outcome is how a handler ended, with all that it gave to ctx.waitUntil.
type Outcome struct {
	// Outcome is "ok" or "exception".
	Outcome string  `json:"outcome"`
	Error   *Thrown `json:"error"`
	// NoRetry says that the handler called controller.noRetry().
	NoRetry bool `json:"noRetry"`
}

// Thrown is what a handler threw.
type Thrown struct {
	Name    string `json:"name"` // empty: what was thrown is no Error
	Message string `json:"message"`
}

// String returns "Name: message".
func (e *Thrown) String() string { return exceptionText(e.Name, e.Message) }

// Dispatch runs one event and returns how it ended, once everything that the
// handler gave to waitUntil has ended, too. What it logs carries the ray. When ctx
// ends the runtime cancels what still runs. Errors: [ErrNoDispatch], ctx's cause,
// and that the process gave no answer.
func (p *Process) Dispatch(ctx context.Context, ray string, e *Event) (Outcome, error) {
	if !p.dispatches {
		return Outcome{}, ErrNoDispatch
	}
	if !slices.Contains(p.info.Handlers, e.Type) {
		return Outcome{Outcome: "exception", Error: &Thrown{Name: "Error", Message: "Handler does not export a " + e.Type + "() function."}}, nil
	}
	body, err := p.call(ctx, ray, e)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	if err := json.Unmarshal(body, &out); err != nil || out.Outcome == "" {
		return Outcome{}, fmt.Errorf("workerd: the answer to a %s event is none: %q", e.Type, clip(body))
	}
	return out, nil
}

// Watch tells the process whether a tail is open on its script: then it says of
// each line what it was made of, and when an invocation has ended. A process that
// cannot be told keeps logging text, which is all that a tail gets of it then.
func (p *Process) Watch(ctx context.Context, open bool) error {
	if !p.dispatches {
		return ErrNoDispatch
	}
	_, err := p.call(ctx, "", &Event{Type: eventWatch, Open: open})
	return err
}

// listeners asks a script in service-worker syntax, which has run, for the events
// that it listens to.
func (p *Process) listeners(ctx context.Context) error {
	body, err := p.call(ctx, "", &Event{Type: eventListeners})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &p.info); err != nil {
		return fmt.Errorf("workerd: the script's listeners are not known: %w", err)
	}
	return nil
}

// call sends an event over a connection of its own from the pool.
func (p *Process) call(ctx context.Context, ray string, e *Event) ([]byte, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("workerd: event: %w", err)
	}
	conn, err := p.pool.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("workerd: %s event: %w", e.Type, err)
	}
	// The runtime notices the end of the connection and cancels the invocation.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, err := exchange(conn, p.key+ray, payload)
	_ = conn.Close()
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("workerd: the process did not answer a %s event: %w", e.Type, err)
	}
	return body, nil
}

func exchange(conn *upstream.Conn, ray string, payload []byte) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("POST / HTTP/1.1\r\nHost: selvage\r\nConnection: close\r\n" + HeaderRay + ": " + ray + "\r\nContent-Length: " + strconv.Itoa(len(payload)) + "\r\n\r\n")
	b.Write(payload)
	if _, err := conn.Write(b.Bytes()); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn.Reader, maxOutcome)), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("status %d: %q", resp.StatusCode, clip(body))
	}
	return body, nil
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }
