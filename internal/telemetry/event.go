package telemetry

import "time"

// Kinds of events.
const (
	KindAccess    = "access"    // one request the edge answered
	KindConsole   = "console"   // console.* in a worker
	KindException = "exception" // an exception no handler caught
	KindRuntime   = "runtime"   // a line of the JavaScript runtime itself
	KindPlatform  = "platform"  // a line of the platform
	KindScheduled = "scheduled" // one run of a scheduled handler
)

// Levels of events, from least to most severe.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// Outcomes of a request that a worker was asked for.
const (
	OutcomeOK             = "ok"
	OutcomeException      = "exception"                  // nothing caught what the worker threw, or it broke off its answer
	OutcomeExceededCPU    = "exceededCpu"                // ended by the limit on processor time
	OutcomeExceededMemory = "exceededMemory"             // ended by the limit on memory
	OutcomeCanceled       = "canceled"                   // the client went away before the answer, or the response deadline passed
	OutcomeDisconnected   = "responseStreamDisconnected" // the client went away during the answer
	OutcomeUnknown        = "unknown"                    // the platform failed, or another request ended the process
)

// Bounds of one event, in bytes; what is longer is cut at a rune's boundary.
const (
	maxText  = 32 << 10 // Message and Stack, each
	maxField = 4 << 10  // every other string
)

// Event is one line of the log. Empty fields are left out on disk.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Level   string    `json:"level,omitempty"`
	Ray     string    `json:"ray,omitempty"`
	Account string    `json:"account,omitempty"`
	Script  string    `json:"script,omitempty"`
	Version string    `json:"version,omitempty"`
	Message string    `json:"message,omitempty"`
	Stack   string    `json:"stack,omitempty"`

	// The rest belongs to access events.
	Method     string `json:"method,omitempty"`
	Host       string `json:"host,omitempty"`
	Path       string `json:"path,omitempty"`
	Status     int    `json:"status,omitempty"`
	DurationUS int64  `json:"duration_us,omitempty"` // microseconds until the last byte was written
	BytesOut   int64  `json:"bytes_out,omitempty"`   // body bytes
	// Outcome says how the worker that was asked ended, in the words of the
	// platform's trace events (the constants below). It is empty for a request
	// that no worker was asked for: an asset, an unknown host.
	Outcome  string `json:"outcome,omitempty"`
	ClientIP string `json:"client_ip,omitempty"`
}

// severity orders levels; the console's "log" counts as info, an unknown level too.
func severity(level string) int {
	switch level {
	case LevelDebug, "trace":
		return 0
	case LevelWarn, "warning":
		return 2
	case LevelError, "fatal":
		return 3
	default:
		return 1
	}
}
