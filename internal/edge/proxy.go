package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// maxResponseHead bounds the head of a worker's answer.
const maxResponseHead = 256 << 10

// outcome of one try to have a worker answer.
type outcome uint8

const (
	answered outcome = iota // or given up for the visitor's sake: all is done
	unseen                  // no worker has seen the request: try again
	seen                    // a worker may have seen it: try again once
	failed                  // answer 502
)

// maxUnseen is how often a request that no worker has seen is tried again. A
// process that died is noticed within milliseconds; the pauses add up to a
// quarter of a second.
const maxUnseen = 8

// proxy has the target's worker answer.
func (c *call) proxy() {
	if c.burst() {
		c.count.rateLimited.Add(1)
		c.page(problemBurst())
		return
	}
	c.outcome = telemetry.OutcomeUnknown // until it is known
	c.watch = c.s.tails.Begin(c.target.Account, c.target.Script, c.target.Version, c.ray)
	replayed := false
	for try := 0; ; try++ {
		out, err := c.tryOnce(try)
		switch out {
		case answered:
			return
		case unseen:
			if try < maxUnseen && c.pause(try) {
				c.count.retries.Add(1)
				continue
			}
		case seen:
			if !replayed {
				replayed = true
				c.count.retries.Add(1)
				continue
			}
		case failed:
		}
		c.count.upstreamErrors.Add(1)
		if c.ctx.Err() != nil {
			c.page(problemClosing())
			return
		}
		c.blame("have the worker answer", err)
		c.page(problemBadGateway())
		return
	}
}

// tryOnce acquires a process and has it answer.
func (c *call) tryOnce(try int) (outcome, error) {
	inst, err := c.target.Worker.Acquire(c.ctx)
	if err != nil {
		c.notStarted(err)
		return answered, nil
	}
	defer inst.Release()
	c.inst = inst
	if c.watch != nil {
		defer c.measure(inst)()
	}
	c.inst, c.sent = inst, time.Now()
	return c.attempt(inst.Upstream(), try)
}

// pause waits before a request is tried again; the first time not at all.
func (c *call) pause(try int) bool {
	if try == 0 {
		return true
	}
	t := time.NewTimer(time.Duration(1<<try) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// notStarted answers when there is no process to answer.
func (c *call) notStarted(err error) {
	c.count.upstreamErrors.Add(1)
	c.blame("start the worker", err)
	switch {
	case c.ctx.Err() != nil:
		c.page(problemClosing())
	case errors.Is(err, context.DeadlineExceeded):
		c.page(problemTimeout())
	default:
		c.page(problemNotStarted())
	}
}

// attempt sends the request through one connection and passes the answer on.
func (c *call) attempt(pool *upstream.Pool, try int) (out outcome, err error) {
	if try == 0 {
		c.up, err = pool.Get(c.ctx)
	} else {
		c.up, err = pool.Dial(c.ctx)
	}
	if err != nil {
		return unseen, err
	}
	c.w.Watch(c)
	reusable := false
	defer func() { // in a panic too
		c.w.Watch(nil)
		if c.feed != nil {
			reusable = c.feed.stop(c) && reusable
			c.feed = nil
		}
		if reusable && c.cause.Load() == 0 {
			pool.Put(c.up)
		} else {
			_ = c.up.Close()
		}
		c.up = nil
	}()
	out, reusable, err = c.roundTrip()
	return out, err
}

// Cancel implements [wire.Canceler]: whatever waits for the process ends.
func (c *call) Cancel(cause wire.Fault) {
	if c.cause.CompareAndSwap(0, uint32(cause)) {
		_ = c.up.Close()
	}
}

// roundTrip sends the request, reads the answer's head and relays the rest.
func (c *call) roundTrip() (out outcome, reusable bool, err error) {
	if err := c.send(); err != nil {
		if c.cause.Load() != 0 {
			out, err = c.noAnswer(err)
			return out, false, err
		}
		return unseen, false, err
	}
	if c.r.Body != nil {
		c.startFeed()
	}
	wait := c.startDeadline()
	for interim := 0; ; interim++ {
		if err := c.head.Read(c.up.Reader, maxResponseHead); err != nil {
			if wait.passed() {
				return c.late()
			}
			if interim > 0 {
				err = errOnlyInterim
			}
			out, err := c.noAnswer(err)
			return out, false, err
		}
		if c.head.Status >= http.StatusOK || c.head.Status == http.StatusSwitchingProtocols {
			break
		}
		if err := c.inform(interim); err != nil {
			wait.passed()
			return failed, false, err
		}
	}
	if wait.passed() {
		return c.late()
	}
	if c.head.Status == http.StatusSwitchingProtocols {
		out, err := c.tunnel()
		return out, false, err
	}
	return answered, c.relay(), nil
}

// send writes the head and what is there of the body in one go. An error means
// that the process has no complete head.
func (c *call) send() error {
	b := c.appendRequestHead(c.up.Buf[:0])
	headSize := len(b)
	b = append(b, c.r.Prefix...)
	c.up.Buf = b
	n, err := c.up.Write(b)
	c.bytesIn = int64(len(c.r.Prefix))
	if err != nil && n < headSize {
		return err
	}
	// A process that stops reading in the middle of a body may still answer.
	return nil
}

// noAnswer decides what becomes of a request whose connection gave no answer.
func (c *call) noAnswer(err error) (outcome, error) {
	switch cause := wire.Fault(c.cause.Load()); cause { //nolint:exhaustive,gosec // the rest are faults in a body; it was stored from a Fault
	case wire.NoFault:
	case wire.ClientGone:
		c.status, c.outcome = wire.StatusClientGone, telemetry.OutcomeCanceled
		return answered, nil
	case wire.ServerClosing:
		c.page(problemClosing())
		return answered, nil
	default:
		c.outcome = telemetry.OutcomeCanceled
		c.fault(cause)
		return answered, nil
	}
	lost := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if !lost {
		return failed, err
	}
	const exactReset = runtime.GOOS == "linux" // see the package comment
	reset := exactReset && errors.Is(err, syscall.ECONNRESET)
	if (!reset || c.r.Length != 0) && c.ended(!reset) {
		return answered, nil
	}
	switch {
	case c.feed != nil:
		return failed, err
	case reset && c.r.Length == 0:
		return unseen, err
	case idempotent(c.r.Method):
		return seen, err
	}
	return failed, err
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
