package wire

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/ai/chat"
)

// Events writes the pieces of an answer: [NativeStream] and [OpenAIStream].
type Events interface {
	Delta(d *chat.Delta) ([]byte, error)
	End() ([]byte, error)
}

// Stream runs a model and sends its text as server-sent events. Until the first piece
// nothing is sent, so that what fails before it can be an answer like any other; began
// says whether something was sent. A client that has left ends the run: writing to it fails.
func Stream(w http.ResponseWriter, run func(emit func(*chat.Delta) error) error, e Events) (began bool, err error) {
	rc := http.NewResponseController(w)
	send := func(text []byte) error {
		if _, err := w.Write(text); err != nil {
			return err
		}
		return rc.Flush()
	}
	err = run(func(d *chat.Delta) error {
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
		return began, err
	}
	text, err := e.End()
	if err != nil {
		return began, err
	}
	return began, send(text)
}
