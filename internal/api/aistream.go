package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/wire"
)

// aiStream runs a model and sends its text piece by piece. A caller who is refused before
// the first piece is told when to come again.
func (c *call) aiStream(run func(emit func(*chat.Delta) error) error, e wire.Events) stream {
	return func(w http.ResponseWriter) error {
		_, err := wire.Stream(w, run, e)
		return c.aiFailed(err)
	}
}
