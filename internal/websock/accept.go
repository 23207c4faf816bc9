package websock

import (
	"crypto/sha1" //nolint:gosec // the RFC's handshake; it protects nothing
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// HandshakeError says why a request cannot become a WebSocket, ready to be shown.
type HandshakeError struct{ Text string }

func (e *HandshakeError) Error() string { return e.Text }

// guid is what RFC 6455 section 1.3 appends to the client's key.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Accept makes a WebSocket of a request, with a subprotocol that the client must
// have offered. On an error nothing was written, and a *[HandshakeError] is the
// client's fault. Afterwards the connection is the Conn's, whose Serve the caller
// calls.
func Accept(w http.ResponseWriter, r *http.Request, protocol string) (*Conn, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return nil, &HandshakeError{"a WebSocket begins with a GET request of HTTP/1.1"}
	case !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return nil, &HandshakeError{"this is a WebSocket; the request asks for no upgrade to one"}
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return nil, &HandshakeError{"only version 13 of the WebSocket protocol is spoken here"}
	case err != nil || len(raw) != 16:
		return nil, &HandshakeError{"the Sec-WebSocket-Key is not 16 bytes in base 64"}
	case !hasToken(r.Header, "Sec-WebSocket-Protocol", protocol):
		return nil, &HandshakeError{fmt.Sprintf("the request does not offer the subprotocol %q", protocol)}
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("websock: take over the connection: %w", err)
	}
	sum := sha1.Sum([]byte(key + guid)) //nolint:gosec // see above
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n"
	_ = nc.SetDeadline(time.Time{}) // the server's own
	err = nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = nc.Write([]byte(head))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("websock: answer the handshake: %w", err), nc.Close())
	}
	return &Conn{nc: nc, br: rw.Reader}, nil
}

// hasToken looks for a token in a list header, in any case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
