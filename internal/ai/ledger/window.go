package ledger

import "time"

// Span is how long a limit counts.
type Span int

// The spans.
const (
	Minute Span = iota
	Day
	Month
	spans
)

// String names the span.
func (s Span) String() string { return [...]string{"minute", "day", "month"}[s] }

// startOf is when the span began that t is in.
func startOf(s Span, t time.Time) time.Time {
	t = t.UTC()
	switch s {
	case Minute:
		return t.Truncate(time.Minute)
	case Month:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	case Day, spans:
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// endOf is when it ends.
func endOf(s Span, t time.Time) time.Time {
	start := startOf(s, t)
	switch s {
	case Minute:
		return start.Add(time.Minute)
	case Month:
		return start.AddDate(0, 1, 0)
	case Day, spans:
	}
	return start.AddDate(0, 0, 1)
}

// scope counts one subject, or the account.
type scope struct {
	windows  [spans]window
	reserved Amount // what those that run may still use
}

// window is what was used in a span.
type window struct {
	start  time.Time
	used   Amount
	warned bool
}

// roll begins anew when the span is over.
func (w *window) roll(s Span, at time.Time) {
	if start := startOf(s, at); !start.Equal(w.start) {
		*w = window{start: start}
	}
}

func (l *Ledger) scope(k key) *scope {
	s := l.scopes[k]
	if s == nil {
		s = &scope{}
		l.scopes[k] = s
	}
	return s
}

func (s *scope) roll(at time.Time) {
	for i := range s.windows {
		s.windows[i].roll(Span(i), at)
	}
}
