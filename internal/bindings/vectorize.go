package bindings

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
	"github.com/selvage-dev/selvage/internal/vectorize/wire"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Vectorize is what the door needs of the Vectorize service.
type Vectorize interface {
	Open(ctx context.Context, account, name string) (*vectorize.Index, error)
	Get(ctx context.Context, account, name string) (vectorize.Info, error)
	Limits() vectorize.Limits
}

// firstAPI is what the paths of the first API's bindings begin with.
const firstAPI = "/binding/indexes/"

// maxVectorQuery bounds a query, and a list of ids.
const maxVectorQuery = 1 << 20

// vectorHandler answers the bindings of one version to one vector index. What the
// runtime sends (its module vectorize-api), to an index that the second API made:
//
//	GET  /info
//	POST /query                   {"vector":[…]|"vectorId":…,"topK":…,…}
//	POST /insert, /upsert         newline-delimited JSON
//	POST /getByIds, /deleteByIds  {"ids":[…]}
//
// and the same below /binding/indexes/<id>/ to one that the first API made. An
// answer that is not 200 is an error, {"code":…,"error":…}.
type vectorHandler struct {
	vectorize Vectorize
	account   string
	index     string
	log       *slog.Logger
	metrics   *vectorMetrics
}

func (s *Server) listenVectorize(ctx context.Context, d *door, e *egress, dir string, spec workers.DoorSpec) error {
	for _, k := range spec.VectorIndexes {
		h := &vectorHandler{vectorize: s.o.Vectorize, account: spec.Account, index: k.Index, log: e.log, metrics: s.metrics.vectors}
		if err := d.listen(ctx, filepath.Join(dir, k.Socket), s.httpServer(h)); err != nil {
			return err
		}
	}
	return nil
}

// operation returns what a name stands for; nil for nothing.
func (h *vectorHandler) operation(name string) func(*http.Request, *vectorize.Index) ([]byte, error) {
	switch name {
	case "query":
		return h.query
	case "insert":
		return h.insert
	case "upsert":
		return h.upsert
	case "getByIds":
		return h.getByIDs
	case "deleteByIds":
		return h.deleteByIDs
	}
	return nil
}

func (h *vectorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	operation := strings.TrimPrefix(r.URL.Path, "/")
	first := false
	if rest, ok := strings.CutPrefix(r.URL.Path, firstAPI); ok {
		first = true
		_, operation, _ = strings.Cut(rest, "/")
		if operation == "" {
			operation = "describe"
		}
	}
	body, err := h.serve(w, r, operation, first)
	outcome := "ok"
	if err != nil {
		outcome = h.fail(w, r, err)
	} else {
		writeJSON(w, http.StatusOK, body)
	}
	if h.operation(operation) == nil && operation != "info" && operation != "describe" {
		operation = "other" // a label is no text of a worker's
	}
	h.metrics.observe(operation, outcome, time.Since(began))
}

func (h *vectorHandler) serve(w http.ResponseWriter, r *http.Request, operation string, first bool) ([]byte, error) { //nolint:revive // which of two protocols, not a mode
	if operation == "describe" && first {
		return h.describe(r.Context())
	}
	do := h.operation(operation)
	if do == nil && operation != "info" || do != nil && r.Method != http.MethodPost {
		return nil, &vectorize.Error{Code: vectorize.CodeNotFound, Status: http.StatusNotFound, Message: r.Method + " " + r.URL.Path + " is no operation of a vector index"}
	}
	x, err := h.vectorize.Open(r.Context(), h.account, h.index)
	if err != nil {
		return nil, err
	}
	defer x.Release()
	if operation == "info" {
		stats := x.Stats()
		return wire.AppendInfo(nil, x.Dimensions, &stats), nil
	}
	most := int64(maxVectorQuery)
	if operation == "insert" || operation == "upsert" {
		most = h.vectorize.Limits().BodyBytes
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	return do(r, x)
}

// describe answers what the first API's bindings ask for.
func (h *vectorHandler) describe(ctx context.Context) ([]byte, error) {
	info, err := h.vectorize.Get(ctx, h.account, h.index)
	if err != nil {
		return nil, err
	}
	x, err := h.vectorize.Open(ctx, h.account, h.index)
	if err != nil {
		return nil, err
	}
	defer x.Release()
	out := vecjson.AppendString([]byte(`{"id":`), info.ID.String())
	out = vecjson.AppendString(append(out, `,"name":`...), info.Name)
	out = vecjson.AppendString(append(out, `,"description":`...), info.Description)
	out = append(out, `,"config":{"dimensions":`...)
	out = strconv.AppendInt(out, int64(info.Dimensions), 10)
	out = vecjson.AppendString(append(out, `,"metric":`...), string(info.Metric))
	out = append(out, `},"vectorsCount":`...)
	return append(strconv.AppendInt(out, int64(x.Stats().Count), 10), '}'), nil
}

func (h *vectorHandler) query(r *http.Request, x *vectorize.Index) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q, err := wire.Query(body, x.Dimensions)
	if err != nil {
		return nil, err
	}
	matches, err := x.Query(q)
	if err != nil {
		return nil, err
	}
	return wire.AppendMatches(make([]byte, 0, 4<<10), matches), nil
}

func (h *vectorHandler) insert(r *http.Request, x *vectorize.Index) ([]byte, error) {
	return h.put(r, x, "insert", x.Insert)
}

func (h *vectorHandler) upsert(r *http.Request, x *vectorize.Index) ([]byte, error) {
	return h.put(r, x, "upsert", x.Upsert)
}

func (h *vectorHandler) put(r *http.Request, x *vectorize.Index, kind string, do func(context.Context, []vectorize.Vector) (uuid.UUID, error)) ([]byte, error) {
	vectors, err := wire.Vectors(r.Body, r.Header.Get("Content-Type"), kind, h.vectorize.Limits().BatchBinding, x.Dimensions)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(vectors))
	for i := range vectors {
		ids[i] = vectors[i].ID
	}
	id, err := do(r.Context(), vectors)
	return h.mutated(r, id, ids), err
}

// mutated writes the answer to a mutation in the form of the API that the index
// was made with.
func (h *vectorHandler) mutated(r *http.Request, id uuid.UUID, ids []string) []byte {
	if !strings.HasPrefix(r.URL.Path, firstAPI) {
		return wire.AppendMutation(nil, id)
	}
	out := strconv.AppendInt([]byte(`{"count":`), int64(len(ids)), 10)
	out = append(out, `,"ids":[`...)
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = vecjson.AppendString(out, id)
	}
	return append(out, "]}"...)
}

func (h *vectorHandler) getByIDs(r *http.Request, x *vectorize.Index) ([]byte, error) {
	ids, err := readIDs(r)
	if err != nil {
		return nil, err
	}
	vectors, err := x.Get(ids)
	return wire.AppendVectors(nil, vectors), err
}

func (h *vectorHandler) deleteByIDs(r *http.Request, x *vectorize.Index) ([]byte, error) {
	ids, err := readIDs(r)
	if err != nil {
		return nil, err
	}
	id, err := x.Delete(r.Context(), ids)
	return h.mutated(r, id, ids), err
}

func readIDs(r *http.Request) ([]string, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return wire.IDs(body)
}

// fail answers with an error and returns its outcome for the metrics.
func (h *vectorHandler) fail(w http.ResponseWriter, r *http.Request, err error) string {
	code, status := 0, http.StatusInternalServerError
	text := "internal error of the platform; its log has the cause"
	public, isPublic := errors.AsType[*vectorize.Error](err)
	large, isLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isPublic:
		code, status, text = public.Code, public.Status, public.Message
	case isLarge:
		code, status = vectorize.CodeTooLarge, http.StatusRequestEntityTooLarge
		text = "the request is larger than " + strconv.FormatInt(large.Limit, 10) + " bytes"
	case errors.Is(err, vectorize.ErrClosed):
		text = "the platform is stopping"
	case errors.Is(err, fsx.ErrNoSpace):
		text = "no space is left on the disk of the platform"
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	outcome := "refused"
	if status >= http.StatusInternalServerError {
		outcome = "failed"
		h.log.ErrorContext(r.Context(), "a call to a vector index failed", "index", h.index, "error", err)
	}
	out := []byte(`{`)
	if code != 0 {
		out = append(strconv.AppendInt(append(out, `"code":`...), int64(code), 10), ',')
	}
	out = vecjson.AppendString(append(out, `"error":`...), text)
	writeJSON(w, status, append(out, '}'))
	return outcome
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	head := w.Header()
	head["Content-Type"] = []string{"application/json"}
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	head["Date"] = nil
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON for the runtime, no page; who does not read it is gone
}
