package bindings

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// D1 is what the door needs of the D1 service.
type D1 interface {
	Open(ctx context.Context, id string) (D1Database, error)
}

// D1Database is an open database.
type D1Database interface {
	DoFor(ctx context.Context, by *d1.Caller, queries []d1.Query, sink d1.Sink) error
	CheckSession(s string) error
	Bookmark() string
	Release()
}

const (
	// Where a session begins is in d1SessionHeader, and in the answer the bookmark it has reached.
	d1SessionHeader = "X-Cf-D1-Session-Commit-Token"
	// A batch is bounded as a whole; each of its statements and values has its own limits.
	maxD1Body = 100 << 20
)

// d1Handler answers the bindings of one version to one database. What the
// runtime sends (its module d1-api), every answer being 200:
//
//	POST /query?resultsFormat=ROWS_AND_COLUMNS|ARRAY_OF_OBJECTS    {"sql":…,"params":[…]}, or an array: a batch
//	POST /execute?resultsFormat=NONE                               the same, for run() and exec()
//	POST /dump                                                     refused, as the platform does
type d1Handler struct {
	d1       D1
	database string
	caller   d1.Caller // without a ray
	log      *slog.Logger
	metrics  *d1Metrics
}

func (h *d1Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	outcome := h.serve(w, r)
	if context.Cause(r.Context()) != nil && outcome == d1Failed {
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	h.metrics.observe(outcome, time.Since(began))
}

func (h *d1Handler) serve(w http.ResponseWriter, r *http.Request) d1Outcome {
	if r.Method != http.MethodPost || r.URL.Path != "/query" && r.URL.Path != "/execute" {
		return h.fail(w, false, &d1.Error{Code: d1.CodeInvalid, Message: "D1_ERROR: " + r.URL.Path + " is not offered here: export the database with \"d1 export\" instead of dump()"})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxD1Body))
	if err != nil {
		return h.fail(w, false, &d1.Error{Code: d1.CodeInvalid, Message: "The request is larger than " + strconv.Itoa(maxD1Body) + " bytes", Err: err})
	}
	queries, batch, err := decodeQueries(body)
	if err != nil {
		return h.fail(w, batch, err)
	}
	db, err := h.d1.Open(r.Context(), h.database)
	if err != nil {
		return h.fail(w, batch, err)
	}
	defer db.Release()
	if session := r.Header.Get(d1SessionHeader); session != "" {
		if err := db.CheckSession(session); err != nil {
			return h.fail(w, batch, err)
		}
	}
	sink := d1Sink{format: formatOf(r), out: make([]byte, 0, 4<<10)}
	if batch {
		sink.out = append(sink.out, '[')
	}
	sink.start = len(sink.out)
	by := h.caller
	by.Ray = rayOf(r)
	if err := db.DoFor(r.Context(), &by, queries, &sink); err != nil {
		return h.fail(w, batch, err)
	}
	if batch {
		sink.out = append(sink.out, ']')
	}
	w.Header()[d1SessionHeader] = []string{db.Bookmark()}
	h.write(w, sink.out)
	return d1OK
}

// callerOf is who calls at the doors of a version.
func callerOf(spec *workers.DoorSpec) d1.Caller {
	return d1.Caller{Account: spec.Account, Script: spec.Script, Version: spec.Version}
}

// rayOf is the ray of the request that calls. Whoever runs in the process can forge
// it: it explains what a worker did, and bounds what it did by mistake.
func rayOf(r *http.Request) string {
	const longest = 64
	ray := r.Header.Get(workerd.HeaderBindingRay)
	if len(ray) > longest {
		return ""
	}
	return ray
}

func (h *d1Handler) write(w http.ResponseWriter, body []byte) {
	head := w.Header()
	head["Content-Type"] = []string{"application/json"}
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	head["Date"] = nil
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) //nolint:gosec // JSON for the runtime, no page; who does not read it is gone
}

// fail answers with an error: what the statement's author may see. The runtime
// puts "D1_ERROR: " before it.
func (h *d1Handler) fail(w http.ResponseWriter, batch bool, err error) d1Outcome { //nolint:revive // the form of the answer, not a mode
	var text string
	outcome := d1Refused
	query, isQuery := errors.AsType[*d1.QueryError](err)
	public, isPublic := errors.AsType[*d1.Error](err)
	switch {
	case isQuery && query.Broken():
		outcome, text = d1Failed, query.Error()
	case isQuery:
		text = query.Error()
	case isPublic && public.Code == d1.CodeNotFound:
		text = "The D1 database of this binding was deleted"
	case isPublic:
		text = public.Message
	case errors.Is(err, d1.ErrClosed):
		outcome, text = d1Failed, "The platform is stopping"
	default:
		outcome, text = d1Failed, "Internal error of the platform; its log has the cause"
	}
	if outcome == d1Failed {
		h.log.Error("a D1 query failed", "database", h.database, "error", err)
	}
	out := append([]byte(`{"success":false,"error":`), native.AppendString(nil, []byte(text))...)
	out = append(out, `,"results":[],"meta":{}}`...)
	if batch {
		out = append(append([]byte{'['}, out...), ']')
	}
	h.write(w, out)
	return outcome
}

// decodeQueries reads one query or a batch.
func decodeQueries(body []byte) (queries []d1.Query, batch bool, err error) {
	type input struct {
		SQL    *string           `json:"sql"`
		Params []json.RawMessage `json:"params"`
	}
	batch = len(body) > 0 && body[0] == '['
	var in []input
	if batch {
		err = json.Unmarshal(body, &in)
	} else {
		in = make([]input, 1)
		err = json.Unmarshal(body, &in[0])
	}
	if err != nil {
		return nil, batch, &d1.Error{Code: d1.CodeInvalid, Message: "The request is not the JSON of a D1 binding", Err: err}
	}
	queries = make([]d1.Query, len(in))
	for i := range in {
		if in[i].SQL == nil {
			return nil, batch, &d1.Error{Code: d1.CodeInvalid, Message: "A query has no sql"}
		}
		queries[i].SQL = *in[i].SQL
		for _, p := range in[i].Params {
			if err := d1.AppendParam(&queries[i].Args, p); err != nil {
				return nil, batch, err
			}
		}
	}
	return queries, batch, nil
}

// d1Format is how rows are written.
type d1Format int

const (
	d1Arrays d1Format = iota
	d1Objects
	d1None
)

func formatOf(r *http.Request) d1Format {
	switch {
	case strings.Contains(r.URL.RawQuery, "ARRAY_OF_OBJECTS"):
		return d1Objects
	case strings.Contains(r.URL.RawQuery, "NONE"):
		return d1None
	}
	return d1Arrays
}

// d1Sink writes results as the runtime reads them.
type d1Sink struct {
	format d1Format
	out    []byte
	start  int
}

// Reset implements d1.Sink.
func (s *d1Sink) Reset() { s.out = s.out[:s.start] }

// Result implements d1.Sink.
func (s *d1Sink) Result(i int, r *d1.Result) {
	if i > 0 {
		s.out = append(s.out, ',')
	}
	s.out = append(s.out, `{"success":true,"results":`...)
	switch s.format {
	case d1None:
		s.out = append(s.out, "[]"...)
	case d1Objects:
		s.out = native.AppendObjects(s.out, r.Rows, r.Columns)
	case d1Arrays:
		s.out = r.AppendTable(s.out)
	}
	s.out = r.Meta.AppendJSON(append(s.out, `,"meta":`...))
	s.out = append(s.out, '}')
}
