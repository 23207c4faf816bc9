package tail

import (
	"encoding/json"
	"time"
)

// Execution models.
const (
	Stateless     = "stateless"
	DurableObject = "durableObject"
)

// Item is what is told of one invocation, in the words of the runtime's own tail
// items. Times are milliseconds, points in time since 1970.
type Item struct {
	WallTime       int64  `json:"wallTime"`
	CPUTime        int64  `json:"cpuTime"` // an estimate; see [Invocation.Measure]
	Truncated      bool   `json:"truncated"`
	ExecutionModel string `json:"executionModel"`
	Outcome        string `json:"outcome"`
	ScriptName     string `json:"scriptName"`

	ScriptVersion *Version `json:"scriptVersion,omitempty"`
	Entrypoint    string   `json:"entrypoint,omitempty"`

	// DiagnosticsChannelEvents are not known: the runtime tells nobody but a tail
	// worker of its own.
	DiagnosticsChannelEvents []json.RawMessage `json:"diagnosticsChannelEvents"`
	Exceptions               []Exception       `json:"exceptions"`
	Logs                     []Log             `json:"logs"`
	EventTimestamp           int64             `json:"eventTimestamp"`
	Event                    Event             `json:"event"`
}

// Version names a version of a script.
type Version struct {
	ID string `json:"id"`
}

// Exception is one that nothing caught.
type Exception struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Stack     string `json:"stack,omitempty"`
	Timestamp int64  `json:"timestamp"`
}

// Log is one line of console output.
type Log struct {
	// Message is a JSON array of what was printed.
	Message   json.RawMessage `json:"message"`
	Level     string          `json:"level"`
	Timestamp int64           `json:"timestamp"`
}

// JSON is the item as "wrangler tail" gets it.
func (it *Item) JSON() ([]byte, error) { return json.Marshal(it) }

// notice is a message about a tail itself, in the form of an item.
func notice(script, kind, text string) ([]byte, error) {
	it := Item{
		ExecutionModel: Stateless, Outcome: "ok", ScriptName: script, EventTimestamp: time.Now().UnixMilli(),
		Event: info{Type: kind, Message: text},
	}
	it.fill()
	return it.JSON()
}

// fill makes empty lists of none: clients take lengths without asking.
func (it *Item) fill() {
	if it.DiagnosticsChannelEvents == nil {
		it.DiagnosticsChannelEvents = []json.RawMessage{}
	}
	if it.Exceptions == nil {
		it.Exceptions = []Exception{}
	}
	if it.Logs == nil {
		it.Logs = []Log{}
	}
}
