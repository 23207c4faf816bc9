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
	"net/url"
	"strconv"
	"time"
)

// Build describes the release that runs.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Workerd string `json:"workerd,omitempty"`
	Go      string `json:"go,omitempty"`
}

// Build returns the platform's release.
func (c *Client) Build(ctx context.Context) (Build, error) {
	return result[Build](ctx, c, http.MethodGet, c.path("selvage", "version"), nil, nil)
}

// Status is what runs.
type Status struct {
	Version  Build      `json:"version"`
	Platform Platform   `json:"platform"`
	Scripts  int        `json:"scripts"`
	Workers  []Instance `json:"workers"`
}

// Platform is the platform's own process.
type Platform struct {
	PID               int       `json:"pid"`
	StartedAt         time.Time `json:"started_at"`
	EdgeURL           string    `json:"edge_url"`
	APIURL            string    `json:"api_url"`
	Domain            string    `json:"domain"`
	RSSBytes          int64     `json:"rss_bytes"`
	RequestsTotal     uint64    `json:"requests_total"`
	RequestsPerSecond float64   `json:"requests_per_second"`
	Isolation         []Layer   `json:"isolation"`
	Containers        []Layer   `json:"containers"`
}

// Layer is one thing that keeps a worker's process in, and whether it does.
type Layer struct {
	Name   string `json:"name"`
	Holds  bool   `json:"holds"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// Instance is one process that runs a version of a worker.
type Instance struct {
	Script        string    `json:"script"`
	Version       string    `json:"version"`
	PID           int       `json:"pid"`
	RSSBytes      int64     `json:"rss_bytes"`
	CPUSeconds    float64   `json:"cpu_seconds"`
	InFlight      int64     `json:"in_flight"`
	RequestsTotal int64     `json:"requests_total"`
	StartedAt     time.Time `json:"started_at"`
	Draining      bool      `json:"draining,omitempty"`
}

// Status returns what runs.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return result[Status](ctx, c, http.MethodGet, c.path("selvage", "status"), nil, nil)
}

// Event is one line of the platform's log.
type Event struct {
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"` // access, console, exception, scheduled, runtime, platform
	Level      string    `json:"level,omitempty"`
	Ray        string    `json:"ray,omitempty"`
	Account    string    `json:"account,omitempty"`
	Script     string    `json:"script,omitempty"`
	Version    string    `json:"version,omitempty"`
	Message    string    `json:"message,omitempty"`
	Stack      string    `json:"stack,omitempty"`
	Method     string    `json:"method,omitempty"`
	Host       string    `json:"host,omitempty"`
	Path       string    `json:"path,omitempty"`
	Status     int       `json:"status,omitempty"`
	DurationUS int64     `json:"duration_us,omitempty"`
	BytesOut   int64     `json:"bytes_out,omitempty"`
	ClientIP   string    `json:"client_ip,omitempty"`
	Outcome    string    `json:"outcome,omitempty"` // of the worker that was asked
}

// LogFilter selects events; an empty field selects all.
type LogFilter struct {
	Ray, Script, Version, Kind string
	Level                      string // this one and those more severe
	Text                       string
	Since, Until               time.Time
	// Limit keeps the newest so many; 0 means as many as the platform gives.
	Limit int
}

func (f LogFilter) query() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{
		"ray": f.Ray, "script": f.Script, "version": f.Version, "kind": f.Kind, "level": f.Level, "text": f.Text,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// Logs returns the events that f selects, the newest last.
func (c *Client) Logs(ctx context.Context, f LogFilter) ([]Event, error) {
	return result[[]Event](ctx, c, http.MethodGet, c.path("selvage", "logs"), f.query(), nil)
}

// maxLine bounds one event of a stream, in bytes.
const maxLine = 1 << 20

// FollowLogs calls yield for each event that f selects, as it happens, until yield returns false, ctx
// ends (both return nil) or the stream breaks off ([io.ErrUnexpectedEOF]).
func (c *Client) FollowLogs(ctx context.Context, f LogFilter, yield func(Event) bool) error {
	q := f.query()
	q.Set("follow", "true")
	resp, err := c.exchange(ctx, &request{method: http.MethodGet, path: c.path("selvage", "logs"), query: q})
	if err != nil {
		if ctx.Err() != nil {
			return nil // the caller ended it
		}
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		// An empty line says only that the stream lives.
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("follow logs: decode event: %w", err)
		}
		if !yield(e) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil // the caller ended it
	}
	return fmt.Errorf("follow logs: %w", errors.Join(io.ErrUnexpectedEOF, lines.Err()))
}
