package bindings

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// connect answers connect(): a tunnel to host:port, by the same rules as fetch.
func (e *egress) connect(w http.ResponseWriter, r *http.Request, x *exchange) {
	if e.isLocal(x.target) {
		e.refuse(w, r, x, &failure{
			outcome: outcomeRefused, status: http.StatusForbidden,
			text: "connect() to this platform's own hostnames is not possible; use fetch()",
		})
		return
	}
	up, err := e.dialer.dialTarget(r.Context(), x.target)
	if err != nil {
		e.refuse(w, r, x, explain(err, nil))
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		hangUp(up)
		e.refuse(w, r, x, explain(err, nil))
		return
	}
	if _, err := down.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		hangUp(down, up)
		return
	}
	// Of the server's reader only what it holds: at the end of the input it would
	// cancel the request, and with it the other direction.
	held := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered()))
	err = tunnel(r.Context(), down, io.MultiReader(held, down), up)
	switch {
	case err == nil:
		x.end(outcomeOK)
	case context.Cause(r.Context()) != nil, errors.Is(err, net.ErrClosed):
		x.end(outcomeCancelled)
	}
}
