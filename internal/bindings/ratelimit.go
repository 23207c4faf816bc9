package bindings

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// RateLimitSocket is the name of the socket of the rate limiting bindings.
const RateLimitSocket = workerd.RateLimitSocket

const (
	// Bounds the key of a call, in bytes of UTF-8.
	maxLimitKey = 4 << 10
	// Bounds the body of a call: a key in which every byte is escaped.
	maxLimitCall = 8*maxLimitKey + 4<<10
	maxDelta     = 1<<32 - 1
)

// rateLimitHandler answers the rate limiting bindings of one running version.
// What they count is known here: a worker says only which binding it means.
type rateLimitHandler struct {
	limiter  *ratelimit.Limiter
	account  string
	bindings map[string]workers.RateLimit
}

func newRateLimitHandler(l *ratelimit.Limiter, spec workers.DoorSpec) *rateLimitHandler {
	h := &rateLimitHandler{limiter: l, account: spec.Account, bindings: make(map[string]workers.RateLimit)}
	for _, r := range spec.RateLimits {
		h.bindings[r.Binding] = r
	}
	return h
}

// limitCall is the body of a call. Limit and Period are the binding's own unless
// the worker gave others.
type limitCall struct {
	Binding string `json:"binding"`
	Key     string `json:"key"`
	Limit   int64  `json:"limit"`
	Period  int64  `json:"period"`
	Delta   int64  `json:"delta"`
}

func (h *rateLimitHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "a call must be a POST", http.StatusMethodNotAllowed)
		return
	}
	var c limitCall
	if err := json.NewDecoder(io.LimitReader(r.Body, maxLimitCall)).Decode(&c); err != nil {
		http.Error(w, "the call cannot be read, or its key is longer than "+strconv.Itoa(maxLimitKey)+" bytes", http.StatusBadRequest)
		return
	}
	b, known := h.bindings[c.Binding]
	switch {
	case !known:
		http.Error(w, "this version has no rate limit of that name", http.StatusNotFound)
		return
	case len(c.Key) > maxLimitKey:
		http.Error(w, "the key is longer than "+strconv.Itoa(maxLimitKey)+" bytes", http.StatusBadRequest)
		return
	case c.Period != 10 && c.Period != 60, c.Delta < 1, c.Delta > maxDelta:
		http.Error(w, "the period must be 10 or 60, the delta from 1 to 2^32-1", http.StatusBadRequest)
		return
	}
	body := `{"success":false}`
	if h.limiter.Allow(ratelimit.Query{Account: h.account, Namespace: b.Namespace, Key: c.Key, Limit: c.Limit, Period: c.Period, Weight: c.Delta}) {
		body = `{"success":true}`
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = io.WriteString(w, body) // a worker that went away needs no answer
}
