package http1

import (
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// exchange is the state of one request and its answer. Connections take one for
// the time of a request. It is the request's [wire.ResponseWriter].
type exchange struct {
	c    *conn
	scan scanner
	head requestHead
	req  wire.Request
	body body
	out  output
}

func (s *Server) exchange() *exchange {
	if x, ok := s.idle.Get().(*exchange); ok {
		return x
	}
	const typicalFields = 32
	x := &exchange{}
	x.req.Fields = make([]wire.Field, 0, typicalFields)
	x.out.buf = make([]byte, 0, outSize)
	return x
}

// begin readies x for a request on c.
func (x *exchange) begin(c *conn) {
	x.c = c
	x.scan = scanner{}
	x.head = requestHead{}
	x.req = wire.Request{Fields: x.req.Fields[:0], Peer: &c.peer, Start: time.Now()}
	x.body.begin(c)
	x.out.begin()
}

// release gives x back for the next request of any connection.
func (x *exchange) release() {
	s := x.c.srv
	x.body.releaseHead()
	x.c = nil
	x.body.c = nil
	x.req.Body, x.req.Prefix, x.req.Peer = nil, nil, nil
	if cap(x.out.buf) > 4*outSize {
		return
	}
	s.idle.Put(x)
}
