package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// TailFilter selects what a tail shows: all that is set must hold, of each list any
// value. The zero value selects everything.
type TailFilter struct {
	SamplingRate float64  // of what matches, above 0 and at most 1; 0 means all
	Outcomes     []string // ok, exception, canceled, exceededCpu, exceededMemory, unknown
	Methods      []string
	HeaderKey    string   // a header that must be there
	HeaderQuery  string   // a text that must be in its value
	ClientIPs    []string // addresses, or "self"
	Query        string   // a text that must have been printed or thrown
	Version      string
}

func (f TailFilter) body() map[string]any {
	list := []any{}
	add := func(set bool, name string, value any) {
		if set {
			list = append(list, map[string]any{name: value})
		}
	}
	add(f.SamplingRate != 0, "sampling_rate", f.SamplingRate)
	add(len(f.Outcomes) > 0, "outcome", f.Outcomes)
	add(len(f.Methods) > 0, "method", f.Methods)
	add(f.HeaderKey != "", "header", map[string]string{"key": f.HeaderKey, "query": f.HeaderQuery})
	add(len(f.ClientIPs) > 0, "client_ip", f.ClientIPs)
	add(f.Query != "", "query", f.Query)
	add(f.Version != "", "scriptVersion", f.Version)
	return map[string]any{"filters": list}
}

// TailItem is one invocation, as "wrangler tail" shows it. Times are milliseconds,
// points in time since 1970.
type TailItem struct {
	Outcome        string          `json:"outcome"`
	ScriptName     string          `json:"scriptName"`
	WallTime       int64           `json:"wallTime"`
	CPUTime        int64           `json:"cpuTime"` // an estimate
	Truncated      bool            `json:"truncated"`
	EventTimestamp int64           `json:"eventTimestamp"`
	ScriptVersion  *TailVersion    `json:"scriptVersion,omitempty"`
	Entrypoint     string          `json:"entrypoint,omitempty"`
	Logs           []TailLog       `json:"logs"`
	Exceptions     []TailException `json:"exceptions"`
	Event          TailEvent       `json:"event"`

	// Raw is the whole item as it came.
	Raw json.RawMessage `json:"-"`
}

// TailVersion names a version.
type TailVersion struct {
	ID string `json:"id"`
}

// TailLog is one line of console output.
type TailLog struct {
	Level     string            `json:"level"`
	Message   []json.RawMessage `json:"message"` // what was printed
	Timestamp int64             `json:"timestamp"`
}

// TailException is an exception that nothing caught.
type TailException struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Stack   string `json:"stack,omitempty"`
}

// TailEvent is what the invocation was for; which fields are set tells what.
type TailEvent struct {
	Request *struct {
		URL    string `json:"url"`
		Method string `json:"method"`
	} `json:"request,omitempty"`
	Response *struct {
		Status int `json:"status"`
	} `json:"response,omitempty"`
	RayID string `json:"rayId,omitempty"`

	// A cron trigger has both, an alarm of a Durable Object the time only.
	Cron          string   `json:"cron,omitempty"`
	ScheduledTime TailTime `json:"scheduledTime,omitzero"`

	RPCMethod string `json:"rpcMethod,omitempty"`

	ConsumedEvents []struct {
		ScriptName string `json:"scriptName"`
	} `json:"consumedEvents,omitempty"`

	// Of a message about the tail itself.
	Type    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
}

// TailTime is a point in time: milliseconds since 1970, or a text as RFC 3339 has it.
type TailTime struct{ time.Time }

// UnmarshalJSON takes both forms.
func (t *TailTime) UnmarshalJSON(raw []byte) error {
	var ms int64
	if err := json.Unmarshal(raw, &ms); err == nil {
		t.Time = time.UnixMilli(ms)
		return nil
	}
	return json.Unmarshal(raw, &t.Time)
}

// Tail calls yield for each invocation of a worker that f selects, when it has ended,
// until yield returns false, ctx ends (both return nil) or the stream breaks off
// ([io.ErrUnexpectedEOF]). It calls open, if that is not nil, when the tail is open.
func (c *Client) Tail(ctx context.Context, script string, f TailFilter, open func(), yield func(TailItem) bool) error {
	return c.follow(ctx, c.path("selvage", "workers", script, "tail"), f, open, yield)
}

// TailPages is Tail for the Functions of one deployment of a project.
func (c *Client) TailPages(ctx context.Context, project, deployment string, f TailFilter, open func(), yield func(TailItem) bool) error {
	return c.follow(ctx, c.path("selvage", "pages", project, "deployments", deployment, "tail"), f, open, yield)
}

func (c *Client) follow(ctx context.Context, path string, f TailFilter, open func(), yield func(TailItem) bool) error {
	r := request{method: http.MethodPost, path: path}
	if err := r.setJSON(f.body()); err != nil {
		return err
	}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the caller ended it
		}
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if open != nil {
		open()
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 { // the stream lives
			continue
		}
		it := TailItem{Raw: bytes.Clone(line)}
		if err := json.Unmarshal(line, &it); err != nil {
			return fmt.Errorf("tail: decode item: %w", err)
		}
		if !yield(it) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil // the caller ended it
	}
	return fmt.Errorf("tail: %w", errors.Join(io.ErrUnexpectedEOF, lines.Err()))
}

// Time is when the invocation began.
func (it *TailItem) Time() time.Time { return time.UnixMilli(it.EventTimestamp) }
