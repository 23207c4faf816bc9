package api

import (
	"net/http"
	"sync"
)

// startLines begins an answer of lines that lasts, with a heart that beats. It returns nil when the
// client has gone already. The caller calls end.
func startLines(w http.ResponseWriter) (out *lineWriter, end func()) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	out = &lineWriter{w: w, rc: http.NewResponseController(w)}
	if !out.line(nil) {
		return nil, func() {}
	}
	stop := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() { out.beat(stop) })
	return out, func() {
		close(stop)
		beats.Wait()
	}
}
