package ledger

import (
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// Price is what a token costs, in millionths of a neuron: the same number as neurons for
// a million tokens.
type Price struct{ In, Out int64 }

func (p Price) of(in, out int64) int64 { return in*p.In + out*p.Out }

// Request is what somebody wants to use.
type Request struct {
	Account, Subject, Model string
	Price                   Price
	InputBytes              int64
	In, Out                 int64 // tokens at most
}

// Job is a request that runs. It is for one goroutine.
type Job struct {
	l        *Ledger
	r        Request
	keys     [2]key
	reserved Amount
	recorded Amount
	noted    time.Time
}

// noteEvery is how often a running job is recorded.
const noteEvery = time.Second

// Begin reserves what a request may use. It refuses one that does not fit a limit, with
// when to come again. Whoever gets a job calls Settle, once.
func (l *Ledger) Begin(r Request) (*Job, error) { //nolint:gocritic // it is kept
	j := &Job{l: l, r: r, reserved: Amount{Requests: 1, In: r.In, Out: r.Out, Neurons: r.Price.of(r.In, r.Out)}, noted: l.now()}
	j.keys = [2]key{{r.Account, r.Subject}, {r.Account, AccountSubject}}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	for _, k := range j.keys {
		limits := l.limitsOf(k)
		if limits.InputBytes > 0 && r.InputBytes > limits.InputBytes {
			return nil, fault.New(fault.CodeTooLarge, "Request is too large: the inputs have %d bytes, and %s may send %d", r.InputBytes, k.subject, limits.InputBytes)
		}
		s := l.scope(k)
		s.roll(at)
		if err := s.fits(&limits, k.subject, &j.reserved, at); err != nil {
			return nil, err
		}
	}
	for _, k := range j.keys {
		l.scope(k).reserved.add(j.reserved)
	}
	return j, nil
}

// fits says whether an amount fits beside what was used and what is reserved.
func (s *scope) fits(limits *Limits, subject string, a *Amount, at time.Time) error {
	for span := range spans {
		used := s.windows[span].used
		for _, b := range []struct {
			what             string
			limit            int64
			used, want, unit int64
		}{
			{"requests", limits.Requests.of(span), used.Requests + s.reserved.Requests, a.Requests, 1},
			{"tokens", limits.Tokens.of(span), used.In + used.Out + s.reserved.In + s.reserved.Out, a.In + a.Out, 1},
			{"neurons", limits.Neurons.of(span), used.Neurons + s.reserved.Neurons, a.Neurons, Micro},
		} {
			if b.limit == 0 || b.used+b.want <= b.limit*b.unit {
				continue
			}
			e := fault.New(fault.CodeLimited, "You have used up the %d %s per %s that %s may use: %d are used or in use, and this request may take %d more. It begins anew at %s.",
				b.limit, b.what, span, subject, (b.used+b.unit-1)/b.unit, (b.want+b.unit-1)/b.unit, endOf(span, at).Format(time.RFC3339))
			e.RetryAfter = endOf(span, at).Sub(at)
			return e
		}
	}
	return nil
}

// Note records what a running job has used so far, at most once a second. A failure to
// record ends nothing: Settle tries again.
func (j *Job) Note(ctx context.Context, in, out int64) {
	if at := j.l.now(); at.Sub(j.noted) >= noteEvery {
		j.noted = at
		if err := j.record(ctx, Amount{Requests: 1, In: in, Out: out, Neurons: j.r.Price.of(in, out)}); err != nil {
			j.l.log.ErrorContext(ctx, "what a model was used for cannot be recorded", "subject", j.r.Subject, "model", j.r.Model, "error", err)
		}
	}
}

// Settle records what a job has used in all, and frees the rest of what it reserved. When
// it returns nil that is on disk. It records for a caller that has left, too.
func (j *Job) Settle(ctx context.Context, in, out int64, failed bool) error { //nolint:revive // how it went
	total := Amount{Requests: 1, In: in, Out: out, Neurons: j.r.Price.of(in, out)}
	if failed {
		total.Failed = 1
	}
	err := j.record(context.WithoutCancel(ctx), total)
	j.l.mu.Lock()
	defer j.l.mu.Unlock()
	for _, k := range j.keys {
		j.l.scope(k).reserved.take(j.reserved)
	}
	return err
}

// record adds to the ledger what total has more than was recorded.
func (j *Job) record(ctx context.Context, total Amount) error {
	more := total
	more.take(j.recorded)
	if err := j.l.write(ctx, j.keys[0], j.r.Model, more); err != nil {
		return err
	}
	j.recorded = total
	l := j.l
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	for _, k := range j.keys {
		s := l.scope(k)
		s.roll(at)
		for span := range s.windows {
			s.windows[span].used.add(more)
		}
		// What is used is no longer reserved, or it would count twice while the job runs.
		s.reserved.take(more)
		l.warn(ctx, k, s)
	}
	j.reserved.take(more)
	return nil
}

// warn says once for each day and month that a budget is nearly used up.
func (l *Ledger) warn(ctx context.Context, k key, s *scope) {
	limits := l.limitsOf(k)
	percent := int64(limits.WarnPercent)
	if percent == 0 {
		percent = defaultWarn
	}
	const hundred = 100
	for _, span := range []Span{Day, Month} {
		w := &s.windows[span]
		near := func(used, limit int64) bool { return limit > 0 && used*hundred >= limit*percent }
		if w.warned || !near(w.used.Requests, limits.Requests.of(span)) && !near(w.used.In+w.used.Out, limits.Tokens.of(span)) && !near(w.used.Neurons/Micro, limits.Neurons.of(span)) {
			continue
		}
		w.warned = true
		l.log.WarnContext(ctx, "a budget for models is nearly used up", "subject", k.subject, "per", span.String(), "percent", percent,
			"requests", w.used.Requests, "tokens", w.used.In+w.used.Out, "neurons", w.used.Neurons/Micro)
	}
}
