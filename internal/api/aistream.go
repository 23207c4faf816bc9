package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/ai/chat"
)

// events writes the pieces of an answer; see the package wire.
type events interface {
	Delta(d *chat.Delta) ([]byte, error)
	End() ([]byte, error)
}

// streamText runs a model and sends its text as server-sent events. Until the first
// piece nothing is sent, so that what fails before it is an answer like any other.
func streamText(run func(emit func(*chat.Delta) error) error, e events) stream {
	return func(w http.ResponseWriter) error {
		rc := http.NewResponseController(w)
		send := func(text []byte) error {
			if _, err := w.Write(text); err != nil {
				return err
			}
			return rc.Flush()
		}
		began := false
		err := run(func(d *chat.Delta) error {
			if !began {
				began = true
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-store")
				w.WriteHeader(http.StatusOK)
			}
			text, err := e.Delta(d)
			if err != nil || len(text) == 0 {
				return err
			}
			return send(text)
		})
		if err != nil {
			return err
		}
		text, err := e.End()
		if err != nil {
			return err
		}
		return send(text)
	}
}
