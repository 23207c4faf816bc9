package tail

import "encoding/json"

// Event is what an invocation was for: a [Fetch], [Scheduled], [RPC], [Alarm] or
// [Consumed].
type Event interface{ event() }

// Fetch is a request.
type Fetch struct {
	Request  Request   `json:"request"`
	Response *Response `json:"response,omitempty"` // nil when the worker gave none
	RayID    string    `json:"rayId,omitempty"`
}

// Request is the head of a request. It marshals redacted.
type Request struct {
	URL     string
	Method  string
	Headers map[string]string // names in lower case
	CF      json.RawMessage   // request.cf
	// ClientIP is for filters only.
	ClientIP string
}

// Response is the head of an answer.
type Response struct {
	Status int `json:"status"`
}

// Scheduled is a tick of a cron trigger.
type Scheduled struct {
	Cron          string `json:"cron"`
	ScheduledTime int64  `json:"scheduledTime"`
}

// RPC is a call of a method of an entrypoint.
type RPC struct {
	Method string `json:"rpcMethod"`
}

// Alarm is an alarm of a Durable Object.
type Alarm struct {
	ScheduledTime string `json:"scheduledTime"` // ISO 8601, with milliseconds
}

// Consumed is a batch of items that a tail worker got.
type Consumed struct {
	Events []ConsumedEvent `json:"consumedEvents"`
}

// ConsumedEvent is one item of a batch.
type ConsumedEvent struct {
	ScriptName string `json:"scriptName"`
}

// info is a message about the tail itself.
type info struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (Fetch) event()     {}
func (Scheduled) event() {}
func (RPC) event()       {}
func (Alarm) event()     {}
func (Consumed) event()  {}
func (info) event()      {}

type requestJSON struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	CF      json.RawMessage   `json:"cf,omitempty"`
}

// MarshalJSON leaves out what may be a secret.
func (r Request) MarshalJSON() ([]byte, error) {
	return json.Marshal(requestJSON{URL: redactURL(r.URL), Method: r.Method, Headers: redactHeaders(r.Headers), CF: r.CF})
}

// whole is what a tail worker gets of an item: the redacted parts are there, too,
// for the method that its runtime calls getUnredacted.
func (it *Item) whole() ([]byte, error) {
	fetch, ok := it.Event.(Fetch)
	if !ok {
		return it.JSON()
	}
	type parts struct {
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	type request struct {
		requestJSON

		Unredacted parts `json:"unredacted"`
	}
	r := fetch.Request
	copied := struct {
		Item

		Event any `json:"event"`
	}{Item: *it, Event: struct {
		Request  request   `json:"request"`
		Response *Response `json:"response,omitempty"`
		RayID    string    `json:"rayId,omitempty"`
	}{
		Request: request{
			requestJSON{URL: redactURL(r.URL), Method: r.Method, Headers: redactHeaders(r.Headers), CF: r.CF},
			parts{r.URL, r.Headers},
		},
		Response: fetch.Response, RayID: fetch.RayID,
	}}
	return json.Marshal(copied)
}
