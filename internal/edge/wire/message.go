package wire

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"
)

// Lengths of a body beside its number of bytes.
const (
	// Unknown is the length of a body that ends when it ends.
	Unknown int64 = -1
	// None says that there is no body and no word about its length: 204, 304.
	None int64 = -2
)

// Peer is the other end of a connection, worked out once for all its requests.
type Peer struct {
	// IP is the address without port, in its shortest form; "" when unknown.
	IP string
	// Addr is IP parsed; invalid when unknown.
	Addr netip.Addr
	// Seq numbers the connections of a server; it spreads counters over cores.
	Seq uint64
	// TLS says that the connection is encrypted.
	TLS bool

	// Inside says that the connection comes from the platform itself, whose
	// internal fields are believed.
	Inside bool

	lastHost, lastKey string // of HostKey
}

// Request is the head of one request and the way to its body.
type Request struct {
	Method string
	// Target is in origin form (path and query), or "*".
	Target string
	// Host is the authority the request is for, as it came in; "" only in
	// HTTP/1.0.
	Host string
	// Proto is "HTTP/1.0", "HTTP/1.1", "HTTP/2" or "HTTP/3".
	Proto string
	// Fields are all header fields in order, but for Host.
	Fields []Field
	// Length is that of the body: 0 for none, or Unknown.
	Length int64
	// Prefix is the part of a body of known length that came with the head.
	// When it is the whole body, Body need not be read.
	Prefix []byte
	// Body gives what follows Prefix; nil when nothing does.
	Body Body
	// Upgrade is the protocol that the client asks to change to, in the case it
	// used, or "".
	Upgrade string
	Peer    *Peer
	// Start is when the request began to arrive.
	Start time.Time
}

// Path returns the target up to the query.
func (r *Request) Path() (path, query string) {
	for i := range len(r.Target) {
		if r.Target[i] == '?' {
			return r.Target[:i], r.Target[i+1:]
		}
	}
	return r.Target, ""
}

// Field returns the first value of a field whose meaning is k.
func (r *Request) Field(k Known) string {
	for i := range r.Fields {
		if r.Fields[i].Known == k {
			return r.Fields[i].Value
		}
	}
	return ""
}

// Body is the rest of a request's body. Its first Read tells a client that
// waits for it (Expect: 100-continue) to go on.
type Body interface {
	// Read returns io.EOF after the last byte, a [Fault] when the client broke
	// the protocol or a limit, or the connection's error.
	Read(p []byte) (int, error)
	// Trailers returns the trailer fields; only after io.EOF.
	Trailers() []Field
	// Abort makes a Read that waits, and all later ones, return an error. It
	// may be called from another goroutine than Read.
	Abort()
}

// ResponseWriter answers one request. Only WriteHead, once, is compulsory.
// Errors are those of the connection; after one, all calls return it.
type ResponseWriter interface {
	// Inform sends an interim response (1xx but 101) at once.
	Inform(status int, fields []Field) error
	// WriteHead starts the response. Fields marked Drop are left out; the
	// writer adds the framing. It may wait for the body to send both in one.
	WriteHead(status int, fields []Field, length int64)
	// Write sends a part of the body. It may keep it until Flush.
	Write(p []byte) error
	// WriteFile sends n bytes of f from offset, the kernel copying if it can.
	WriteFile(f *os.File, offset, n int64) error
	// Flush sends what was kept.
	Flush() error
	// Finish ends the response and sends what was kept.
	Finish(trailers []Field) error
	// Tunnel joins the connection to other, of which buffered was read already,
	// until both directions have ended. It follows WriteHead with status 101. When
	// hangup ends, the WebSocket is closed with code 1012.
	Tunnel(hangup context.Context, other net.Conn, buffered []byte) (in, out int64, err error)
	// Watch makes c be canceled when the client goes away while the worker is
	// silent, or the server is cut short. After Watch(nil) has returned, no
	// call to Cancel runs or comes any more.
	Watch(c Canceler)
}

// Canceler is work done for a client that may go away.
type Canceler interface {
	// Cancel must not block and must not call the ResponseWriter.
	Cancel(cause Fault)
}

// Handler is the routing core as the server loops see it.
type Handler interface {
	// ServeRequest answers r. The body may be left unread.
	ServeRequest(ctx context.Context, w ResponseWriter, r *Request)
	// RejectRequest answers what could not be understood or accepted as a request. Of
	// r only what was read before the fault is set.
	RejectRequest(w ResponseWriter, r *Request, why Fault)
}
