package supervise

import "time"

// Backoff decides how long to wait before a process that ended is started again:
// exponentially longer after each failure in a row, up to a bound, and from the
// beginning once the process ran for a while. It keeps no time and draws no
// randomness of its own: both are arguments.
//
// The zero value restarts at once, for ever; set the fields.
type Backoff struct {
	// Min is the delay after the first failure.
	Min time.Duration
	// Max bounds the delay.
	Max time.Duration
	// Factor multiplies the delay with each further failure; below 1 counts as 2.
	Factor float64
	// Jitter is the share of the delay, between 0 and 1, that randomness may
	// take off, so that processes that died together do not start together.
	Jitter float64
	// Healthy is how long a process must have run for its end to count as a
	// first failure again; 0 means never.
	Healthy time.Duration

	failures int
}

// Next records one more end of the process, which had run for uptime, and
// returns the delay before the next start. The argument random is in [0, 1).
func (b *Backoff) Next(uptime time.Duration, random float64) time.Duration {
	if b.Healthy > 0 && uptime >= b.Healthy {
		b.failures = 0
	}
	factor := b.Factor
	if factor < 1 {
		factor = 2
	}
	delay := float64(b.Min)
	for range b.failures {
		if delay >= float64(b.Max) {
			break
		}
		delay *= factor
	}
	b.failures++
	delay = min(delay, float64(b.Max))
	return time.Duration(delay * (1 - b.Jitter*random))
}

// Failures returns how many ends in a row counted as failures.
func (b *Backoff) Failures() int { return b.failures }

// Reset forgets the failures, as a healthy period does.
func (b *Backoff) Reset() { b.failures = 0 }
