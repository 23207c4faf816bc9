package api

import (
	"encoding/json"
	"net/http"
)

// envelope is the body of every v4 answer.
type envelope struct {
	Success    bool      `json:"success"`
	Result     any       `json:"result"`
	Errors     []message `json:"errors"`
	Messages   []message `json:"messages"`
	ResultInfo any       `json:"result_info,omitempty"` // resultInfo or cursorInfo
}

// message is one entry of errors or messages.
type message struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Meta    *meta  `json:"meta,omitempty"`
}

// meta is what a program may read of an error.
type meta struct {
	Details any `json:"details"`
}

// paged is the result of a handler whose answer is one page of a list.
type paged struct {
	Items any
	Info  resultInfo
}

// cursored is the result of a handler whose answer is a part of a list that is too long to be counted.
type cursored struct {
	Items any
	Info  cursorInfo
}

// cursorInfo says how to go on; an empty cursor says that this was the end.
type cursorInfo struct {
	Count  int    `json:"count"`
	Cursor string `json:"cursor"`
}

// stream is the result of a handler that writes its answer itself. The access log and the metrics
// see it like any other.
type stream func(w http.ResponseWriter) error

// writeResult writes a success.
func writeResult(w http.ResponseWriter, result any) error {
	e := envelope{Success: true, Result: result, Errors: []message{}, Messages: []message{}}
	switch p := result.(type) {
	case paged:
		e.Result, e.ResultInfo = p.Items, p.Info
	case cursored:
		e.Result, e.ResultInfo = p.Items, p.Info
	}
	return writeJSON(w, http.StatusOK, e)
}

// writeFault writes an error.
func writeFault(w http.ResponseWriter, f fault) error {
	m := message{Code: f.Code, Message: f.Message}
	if f.Details != nil {
		m.Meta = &meta{Details: f.Details}
	}
	return writeJSON(w, f.Status, envelope{Errors: []message{m}, Messages: []message{}})
}

func writeJSON(w http.ResponseWriter, status int, e envelope) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
