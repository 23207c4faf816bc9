package bindings

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/workers"
)

// assetsHandler answers env.ASSETS.fetch(). It never runs the worker: that is
// who asks.
type assetsHandler struct {
	site    workers.Responder
	log     *slog.Logger
	metrics *metrics
}

func (h *assetsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := h.serve(w, r)
	h.metrics.assets.WithLabelValues(strconv.Itoa(status/100) + "xx").Inc()
}

func (h *assetsHandler) serve(w http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return http.StatusMethodNotAllowed
	}
	if !originForm(r) {
		w.WriteHeader(http.StatusBadRequest)
		return http.StatusBadRequest
	}
	scheme := r.Header.Get(ProtoHeader)
	if scheme != "https" {
		scheme = "http"
	}
	res, err := h.site.Respond(
		&assets.Request{
			Method: r.Method, Scheme: scheme, Host: r.Host,
			Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header.Get,
		})
	if err != nil {
		h.log.ErrorContext(r.Context(), "asset of the assets binding cannot be read", "path", r.URL.Path, "error", err)
		w.Header().Set(ErrorHeader, "assets-unavailable")
		http.Error(w, "the platform could not read this asset; its log says why", http.StatusInternalServerError)
		return http.StatusInternalServerError
	}
	if res.Body.File != nil {
		defer hangUp(res.Body.File)
	}
	for _, f := range res.Header {
		w.Header().Add(f.Name, f.Value)
	}
	if res.Length >= 0 && res.Status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.FormatInt(res.Length, 10))
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // no guessing by the HTTP server
	}
	w.WriteHeader(res.Status)
	if r.Method == http.MethodHead {
		return res.Status
	}
	if err := writeBody(w, res.Body); err != nil {
		if context.Cause(r.Context()) == nil {
			h.log.WarnContext(r.Context(), "asset of the assets binding broke off", "path", r.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler) // the worker must not take a part for the whole
	}
	return res.Status
}

func writeBody(w io.Writer, b assets.Body) error {
	if b.File == nil {
		_, err := w.Write(b.Bytes)
		return err
	}
	n, err := io.Copy(w, io.NewSectionReader(b.File, b.Offset, b.Length))
	if err == nil && n != b.Length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// originForm reports whether the request line holds a path, as the runtime
// sends it: not "*", not a whole URL whose host could differ from Host.
func originForm(r *http.Request) bool {
	return len(r.RequestURI) > 0 && r.RequestURI[0] == '/'
}

var errNotOriginForm = errors.New("request target is not a path")
