package api

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// refusedTime bounds the wait for the body of a request that was refused before
// anyone knew who calls: the HTTP server reads what is left of a small one before
// it sends the answer, and on its own it would wait for ever.
const refusedTime = 5 * time.Second

// pacedBody is a request's body whose sender must not pause for longer than
// stall. However large a body is, only silence ends it.
type pacedBody struct {
	io.ReadCloser

	rc    *http.ResponseController
	stall time.Duration
	// stalled says that the sender did pause.
	stalled bool
}

// Read sets the deadline anew before each read. A writer without deadlines, as
// tests have it, has nobody to wait for.
func (b *pacedBody) Read(p []byte) (int, error) {
	deadline := time.Now().Add(b.stall)
	_ = b.rc.SetReadDeadline(deadline)
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		// The server now watches the connection for its end; that may take as long as the answer.
		_ = b.rc.SetReadDeadline(time.Time{})
	case err != nil:
		b.stalled = !time.Now().Before(deadline)
	}
	return n, err
}
