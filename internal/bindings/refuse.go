package bindings

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// refuse answers the worker with a failure, counts it, and logs it if an
// operator could want to do something about it.
func (e *egress) refuse(w http.ResponseWriter, r *http.Request, x *exchange, f *failure) {
	x.end(f.outcome)
	e.logFailure(r, x, f)
	body := "selvage: " + f.text + "."
	if host := x.target.host(); x.target.port != 0 {
		body = "selvage: " + host + " port " + strconv.Itoa(int(x.target.port)) + ": " + f.text + "."
	}
	body += "\n"
	h := w.Header()
	clear(h)
	h.Set(ErrorHeader, "egress-"+string(f.outcome))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) //nolint:gosec // plain text for a program; a worker that went away needs no answer
	}
}

func (e *egress) logFailure(r *http.Request, x *exchange, f *failure) {
	level := slog.LevelDebug
	switch f.outcome {
	case outcomeRefused, outcomeBusy, outcomeLoop, outcomeInvalid:
		level = slog.LevelWarn
	case outcomeOK, outcomeAborted, outcomeCancelled, outcomeUpstream, outcomeConnect, outcomeTimeout,
		outcomeUnreachable, outcomeTLS, outcomeCertificate, outcomeDNS:
	}
	if !e.log.Enabled(r.Context(), level) {
		return
	}
	skipped, ok := e.gate.pass(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("outcome", string(f.outcome)),
		slog.String("host", x.target.host()),
		slog.Int("port", int(x.target.port)),
		slog.String("reason", f.text),
	}
	if f.addr.IsValid() {
		attrs = append(attrs, slog.String("address", f.addr.String()), slog.String("class", string(f.class)))
	}
	if f.err != nil {
		attrs = append(attrs, slog.Any("error", f.err))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("skipped_before", skipped))
	}
	e.log.LogAttrs(r.Context(), level, "outbound request not made", attrs...)
}

// logGate bounds how much one worker can make the platform log.
type logGate struct {
	mu      sync.Mutex
	window  time.Time
	passed  int
	skipped int
}

const (
	logWindow    = time.Minute
	logPerWindow = 20
)

// pass reports whether to log now, and how many lines were left out before.
func (g *logGate) pass(now time.Time) (skipped int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.window) >= logWindow {
		g.window, g.passed = now, 0
	}
	if g.passed >= logPerWindow {
		g.skipped++
		return 0, false
	}
	g.passed++
	skipped, g.skipped = g.skipped, 0
	return skipped, true
}
