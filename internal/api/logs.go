package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

const (
	defaultLogLimit = 1000
	// Every logHeartbeat a quiet stream sends an empty line, so that proxies keep it open and a client
	// that is gone is noticed.
	logHeartbeat = 15 * time.Second
)

// getLogs answers with the events that the query selects, oldest first. With follow=true the answer
// is a stream of one JSON event a line that ends with the request; an empty line says only that the
// stream lives.
func getLogs(c *call) (any, error) {
	q := c.query()
	f, err := logFilter(q)
	if err != nil {
		return nil, err
	}
	follow, err := boolParam(q, "follow")
	if err != nil {
		return nil, err
	}
	if follow {
		return c.followLogs(f), nil
	}
	if f.Limit == 0 {
		f.Limit = defaultLogLimit
	}
	events := []telemetry.Event{}
	err = c.Logs.Query(c.ctx(), f, func(e telemetry.Event) bool {
		events = append(events, e)
		return true
	})
	return events, err
}

func logFilter(q url.Values) (telemetry.Filter, error) {
	f := telemetry.Filter{
		Ray: q.Get("ray"), Script: q.Get("script"), Version: q.Get("version"), Kind: q.Get("kind"),
		Level: q.Get("level"), Text: q.Get("text"),
	}
	var err error
	if f.Limit, err = intParam(q, "limit", 0, 1, telemetry.MaxLimit); err != nil {
		return f, err
	}
	if f.Since, err = timeParam(q, "since"); err != nil {
		return f, err
	}
	f.Until, err = timeParam(q, "until")
	return f, err
}

// boolParam reads true or false from the query; a parameter that is missing is false.
func boolParam(q url.Values, name string) (bool, error) {
	s := q.Get(name)
	if s == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, errf(codeBadRequest, "query parameter %s is %q; give true or false", name, s)
	}
	return b, nil
}

func timeParam(q url.Values, name string) (time.Time, error) {
	s := q.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, errf(codeBadRequest, "query parameter %s is %q; give a time as 2006-01-02T15:04:05Z", name, s)
	}
	return t, nil
}

func (c *call) followLogs(f telemetry.Filter) stream {
	return func(w http.ResponseWriter) error {
		out, end := startLines(w)
		defer end()
		if out == nil {
			return nil
		}
		return c.Logs.Follow(c.ctx(), f, func(e telemetry.Event) bool {
			text, err := json.Marshal(e)
			return err == nil && out.line(text)
		})
	}
}

// lineWriter writes lines from two goroutines, each at once.
type lineWriter struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	rc   *http.ResponseController
	gone bool
}

// line writes one line and reports whether the client is still there.
func (l *lineWriter) line(text []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	// A client that stops reading must not hold the handler for ever. Not every writer has a deadline.
	_ = l.rc.SetWriteDeadline(time.Now().Add(2 * logHeartbeat))
	_, err := l.w.Write(append(text, '\n'))
	l.gone = err != nil || l.rc.Flush() != nil
	return !l.gone
}

// beat writes an empty line now and then until stop is closed.
func (l *lineWriter) beat(stop <-chan struct{}) {
	t := time.NewTicker(logHeartbeat)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			if !l.line(nil) {
				return
			}
		}
	}
}
