package bindings

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/wire"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/workers"
)

// AI is what the door needs of the service that runs models.
type AI interface {
	Run(ctx context.Context, caller *ai.Caller, model string, inputs []byte) (*ai.Answer, error)
	Models(f ai.Filter) []ai.Model
}

const (
	// The name of the model, perhaps with a prefix and a colon before it.
	aiModelHeader = "Cf-Consn-Model-Id"
	// What identifies the run in the answer.
	aiRequestHeader = "Cf-Ai-Req-Id"
	// How much JSON may stand around the inputs.
	aiEnvelope = 64 << 10
)

// aiHandler answers the AI bindings of one version. What the runtime sends (its
// module ai-api):
//
//	POST /run?version=3              {"inputs":{…},"options":{…}}, the model in a header
//	POST /run?version=3&userInputs=… a stream as an input: the body is the stream
//	GET  /run?version=3&body=…       a WebSocket
//	POST /ai-gateway/run?version=3   a run through a gateway
//	GET  /ai-api/models/search?…     {"result":[…]}
//
// An answer of exactly application/json is the output; any other is given to the worker
// as a stream. Errors are JSON that wire.Error writes.
type aiHandler struct {
	ai      AI
	caller  ai.Caller // without a ray
	log     *slog.Logger
	metrics *aiMetrics
}

func (s *Server) listenAI(ctx context.Context, d *door, e *egress, dir string, spec *workers.DoorSpec) error {
	if !spec.AI || s.o.AI == nil {
		return nil
	}
	h := &aiHandler{ai: s.o.AI, caller: ai.Caller{Account: spec.Account, Script: spec.Script}, log: e.log, metrics: s.metrics.ai}
	return d.listen(ctx, filepath.Join(dir, workers.AISocket), s.httpServer(h))
}

func (h *aiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	operation, outcome := "other", "ok"
	var err error
	switch path := r.URL.Path; {
	case path == "/run" && r.Method == http.MethodPost:
		operation = "run"
		err = h.run(w, r)
	case path == "/run":
		err = ai.NotOffered("Models are not offered over WebSockets here. Leave out { websocket: true }.")
	case strings.HasPrefix(path, "/ai-gateway/"):
		err = ai.NotOffered("AI Gateway is not offered here. Leave out the option \"gateway\".")
	case path == "/ai-api/models/search":
		operation = "models"
		err = h.models(w, r)
	case strings.HasPrefix(path, "/to-everything/"):
		err = ai.NotOffered("toMarkdown is not offered here.")
	case strings.HasPrefix(path, "/autorag/"):
		err = ai.NotOffered("AutoRAG and AI Search are not offered here. Embeddings and Vectorize are.")
	default:
		err = ai.NotOffered("%s %.100s is no operation of an AI binding.", r.Method, path)
	}
	cut, isCut := errors.AsType[*cutError](err)
	switch {
	case isCut:
		outcome = "cut"
		if r.Context().Err() == nil {
			h.log.ErrorContext(r.Context(), "the text of a model broke off", "model", bareModel(r.Header.Get(aiModelHeader)), "error", cut)
		}
	case err != nil:
		outcome = h.fail(w, r, err)
	}
	h.metrics.observe(operation, outcome, time.Since(began))
	if isCut {
		panic(http.ErrAbortHandler)
	}
}

func (h *aiHandler) run(w http.ResponseWriter, r *http.Request) error {
	model := r.Header.Get(aiModelHeader)
	if model == "" {
		return ai.Incomplete(aiModelHeader)
	}
	if r.URL.Query().Has("userInputs") {
		return ai.NotOffered("No model here takes a stream as an input. Give the inputs of %.100s as JSON.", model)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ai.MaxInput+aiEnvelope))
	if err != nil {
		return err
	}
	var in struct {
		Inputs json.RawMessage `json:"inputs"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Inputs) == 0 {
		return ai.Incomplete("inputs")
	}
	caller := h.caller
	caller.Ray = rayOf(r)
	answer, err := h.ai.Run(r.Context(), &caller, bareModel(model), in.Inputs)
	if err != nil {
		return err
	}
	w.Header()[aiRequestHeader] = []string{answer.ID}
	if answer.Stream != nil {
		return stream(w, answer.Stream)
	}
	out, err := wire.Native(answer)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// stream runs a model and sends its text piece by piece. What fails before the first
// piece is an answer; after it the connection is cut, which the worker's reader sees.
func stream(w http.ResponseWriter, run func(emit func(*chat.Delta) error) error) error {
	w.Header()["Date"] = nil
	began, err := wire.Stream(w, run, &wire.NativeStream{})
	if err != nil && began {
		return &cutError{err}
	}
	return err
}

// cutError is one that came after the answer had begun.
type cutError struct{ err error }

func (e *cutError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// bareModel is the name of the model without the prefix that options may put before it.
func bareModel(name string) string {
	if _, rest, ok := strings.Cut(name, ":@"); ok {
		return "@" + rest
	}
	return name
}

func (h *aiHandler) models(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	all := h.ai.Models(ai.Filter{Search: q.Get("search"), Author: q.Get("author"), Task: q.Get("task")})
	page, per := number(q.Get("page"), 1), number(q.Get("per_page"), len(all))
	from := min((page-1)*per, len(all))
	raw, err := json.Marshal(struct {
		Result []wire.Model `json:"result"`
	}{wire.Models(all[from:min(from+per, len(all))])})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, raw)
	return nil
}

// number reads a whole number from 1 to a million, or takes the other.
func number(text string, missing int) int {
	const most = 1_000_000
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return missing
	}
	return n
}

// fail answers with an error and returns its outcome for the metrics.
func (h *aiHandler) fail(w http.ResponseWriter, r *http.Request, err error) string {
	public, isPublic := errors.AsType[*ai.Error](err)
	_, isLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isPublic:
	case isLarge:
		public = ai.TooLarge()
	case errors.Is(err, ai.ErrClosed):
		public = ai.Internal("the platform is stopping")
	case errors.Is(err, fsx.ErrNoSpace):
		public = ai.Internal("no space is left on the disk of the platform")
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to read it
	default:
		public = ai.Internal("internal error of the platform; its log has the cause")
	}
	outcome := "refused"
	if public.Status() >= http.StatusInternalServerError {
		outcome = "failed"
		h.log.ErrorContext(r.Context(), "a call to a model failed", "model", bareModel(r.Header.Get(aiModelHeader)), "error", err)
	}
	if seconds := wire.RetryAfterOf(public); seconds > 0 {
		w.Header()["Retry-After"] = []string{strconv.Itoa(seconds)}
	}
	writeJSON(w, public.Status(), wire.Error(public))
	return outcome
}
