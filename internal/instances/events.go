package instances

import "time"

// Line is one that a container printed.
type Line struct {
	Account, Script, Class string
	Application            string
	Instance               string
	Time                   time.Time
	Stderr                 bool
	Text                   string // cut at supervise.MaxLine
}

// EventKind says what happened to an instance.
type EventKind string

// What happens to instances.
const (
	EventStarted EventKind = "started"
	EventExited  EventKind = "exited"
	EventFailed  EventKind = "failed" // it could not be started
)

// Event is one thing that happened to an instance.
type Event struct {
	Kind                   EventKind
	Account, Script, Class string
	Application            string
	Instance               string
	Time                   time.Time
	Took                   time.Duration // of a start
	ExitCode               int
	OutOfMemory            bool
	Reason                 string
}
