package http1

import "time"

// Limits bound what one client can take. A zero field takes the default, a
// negative one switches the limit off (those of a head cannot be).
type Limits struct {
	HeadBytes   int   // of a request head; default 64 KiB
	Fields      int   // in a request head; default 128
	TargetBytes int   // of a request target; default 16 KiB
	BodyBytes   int64 // of a request body; default 100 MiB

	HeadTimeout  time.Duration // first to last byte of a head; default 10 s
	IdleTimeout  time.Duration // between requests; default 75 s
	BodyTimeout  time.Duration // without any byte of an awaited body; default 30 s
	WriteTimeout time.Duration // for each write of at most 256 KiB; default 60 s
	// BodyRate is the least average rate of a body in bytes per second, after
	// a grace of BodyGrace, of the time spent waiting for it; default 240.
	BodyRate  int
	BodyGrace time.Duration // default 10 s

	Conns      int // open connections; default 16384
	ConnsPerIP int // open connections of one address; default none
}

// clientWatch is how long a worker may be silent before the edge looks whether
// the client is still there.
const clientWatch = time.Second

// Defaults fills in the zero fields.
func (l Limits) Defaults() Limits {
	setDefault(&l.HeadBytes, 64<<10)
	setDefault(&l.Fields, 128)
	setDefault(&l.TargetBytes, 16<<10)
	setDefault(&l.BodyBytes, 100<<20)
	setDefault(&l.HeadTimeout, 10*time.Second)
	setDefault(&l.IdleTimeout, 75*time.Second)
	setDefault(&l.BodyTimeout, 30*time.Second)
	setDefault(&l.WriteTimeout, 60*time.Second)
	setDefault(&l.BodyRate, 240)
	setDefault(&l.BodyGrace, 10*time.Second)
	setDefault(&l.Conns, 16<<10)
	l.HeadBytes = max(l.HeadBytes, minBuffer)
	l.Fields = max(l.Fields, 1)
	l.TargetBytes = max(l.TargetBytes, 1)
	return l
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// head gives the limits in the scanner's terms: the first line also has a
// method and a version.
func (l *Limits) head() headLimits {
	const rest = 64
	return headLimits{bytes: l.HeadBytes, first: l.TargetBytes + rest, fields: l.Fields}
}

// tick is how often the janitor must look for timeouts to be noticed about in
// time, without costing an idle server anything to speak of.
func (l *Limits) tick() time.Duration {
	const slowest, fastest = 250 * time.Millisecond, 5 * time.Millisecond
	d := slowest
	for _, t := range []time.Duration{l.HeadTimeout, l.IdleTimeout, l.BodyTimeout, l.WriteTimeout} {
		if t > 0 {
			d = min(d, t/8)
		}
	}
	return max(d, fastest)
}
