package edge

import (
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// bareError is the body of the answer with which the runtime stands in for a
// worker that threw. Nothing else comes with it: no field of a worker's own
// Response, and a text would have a Content-Type.
const bareError = "Internal Server Error"

// threw reports whether the answer is that one, and takes its body.
func (c *call) threw() bool {
	h := &c.head
	if h.Status != http.StatusInternalServerError || h.Length != int64(len(bareError)) || h.Chunked {
		return false
	}
	for i := range h.Fields {
		if !h.Fields[i].Drop {
			return false
		}
	}
	if c.r.Method == http.MethodHead {
		return true
	}
	b, err := c.up.Reader.Peek(len(bareError))
	if err != nil || string(b) != bareError {
		return false
	}
	_, _ = c.up.Reader.Discard(len(bareError)) // buffered
	return true
}

// burstPeriod is in seconds.
const burstPeriod = 60

// burst counts the request among those of its worker, and reports whether there
// are too many.
func (c *call) burst() bool {
	limit := c.s.burst.Load()
	return limit > 0 && !c.s.bursts.Allow(ratelimit.Query{
		Account: c.target.Account, Key: c.target.Script, Limit: limit, Period: burstPeriod, Weight: 1,
	})
}

// deadline closes the connection to the process when the answer has not begun in
// time.
type deadline struct {
	timer *time.Timer
	fired chan struct{}
}

// startDeadline returns nil when there is none.
func (c *call) startDeadline() *deadline {
	limit := time.Duration(c.s.response.Load())
	if limit <= 0 {
		return nil
	}
	d := &deadline{fired: make(chan struct{})}
	up := c.up
	d.timer = time.AfterFunc(limit, func() {
		_ = up.Close()
		close(d.fired)
	})
	return d
}

// passed ends the deadline and reports whether it was too late.
func (d *deadline) passed() bool {
	if d == nil || d.timer.Stop() {
		return false
	}
	<-d.fired
	return true
}

// late answers when the deadline has passed.
func (c *call) late() (outcome, bool, error) {
	c.outcome = telemetry.OutcomeCanceled
	c.page(problemDeadline())
	return answered, false, nil
}

// ended answers a request whose process a limit ended, and reports whether that
// was so.
func (c *call) ended(read bool) bool {
	outcome := c.inst.Ended(c.sent, read)
	if outcome == "" {
		return false
	}
	c.count.upstreamErrors.Add(1)
	c.outcome = outcome
	c.tellLimit()
	switch outcome {
	case telemetry.OutcomeExceededCPU:
		c.page(problemLimit("processor time"))
	case telemetry.OutcomeExceededMemory:
		c.page(problemLimit("memory"))
	default:
		c.page(problemShared())
	}
	return true
}

// tellLimit writes what the worker's owner sees among its exceptions.
func (c *call) tellLimit() {
	var text string
	switch c.outcome {
	case telemetry.OutcomeExceededCPU:
		text = "Worker exceeded CPU time limit."
	case telemetry.OutcomeExceededMemory:
		text = "Worker exceeded memory limit."
	default:
		return
	}
	c.s.logs.Append(&telemetry.Event{
		Time: time.Now(), Kind: telemetry.KindException, Level: telemetry.LevelError, Ray: c.ray,
		Account: c.target.Account, Script: c.target.Script, Version: c.target.Version,
		Message: "Error: " + text, Host: c.host,
	})
}
