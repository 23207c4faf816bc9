package http2

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// serve answers one stream.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	peer, _ := r.Context().Value(peerKey{}).(wire.Peer) // A copy: streams run side by side.
	limits := s.o.Limits()
	x := &exchange{w: w, r: r, control: http.NewResponseController(w), limits: limits}
	fault := x.read(&limits)
	x.req.Peer = &peer
	if fault != wire.NoFault {
		s.o.Handler.RejectRequest(x, &x.req, fault)
	} else {
		s.o.Handler.ServeRequest(r.Context(), x, &x.req)
	}
	x.Watch(nil) //nolint:contextcheck // it ends what follows one
	if !x.done {
		panic(http.ErrAbortHandler) // Resets the stream, without a word in the log.
	}
}

// read brings the request into the core's form.
func (x *exchange) read(limits *http1.Limits) wire.Fault {
	r := x.r
	x.req = wire.Request{Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: "HTTP/2", Start: time.Now()}
	if r.Method == http.MethodConnect {
		x.req.Target = "*" // The core refuses it.
	}
	switch {
	case !http1.ValidMethod(r.Method):
		x.req.Method = http.MethodGet // What is not a method is not repeated in the log.
		return wire.BadRequestLine
	case len(x.req.Target) > limits.TargetBytes:
		return wire.TargetTooLong
	case !http1.ValidTarget(x.req.Method, x.req.Target):
		return wire.BadTarget
	case x.req.Host == "":
		return wire.MissingHost
	case !http1.ValidHost(x.req.Host):
		return wire.BadHost
	}
	for name, values := range r.Header {
		known := wire.Classify(name)
		if known == wire.Host {
			return wire.BadHost // There is an authority already.
		}
		drop := known == wire.ContentLength || known == wire.TransferEncoding || known == wire.Connection ||
			known == wire.HopByHop || known == wire.Upgrade || known == wire.Expect
		for _, v := range values {
			if len(x.req.Fields) == limits.Fields {
				return wire.TooManyFields
			}
			if !http1.ValidFieldValue(v) {
				return wire.BadFieldValue
			}
			x.req.Fields = append(x.req.Fields, wire.Field{Name: name, Value: v, Known: known, Drop: drop})
		}
	}
	return x.setBody(limits)
}

func (x *exchange) setBody(limits *http1.Limits) wire.Fault {
	n := x.r.ContentLength
	if n == 0 || x.r.Body == nil || x.r.Body == http.NoBody {
		return wire.NoFault
	}
	if limits.BodyBytes > 0 && n > limits.BodyBytes {
		return wire.BodyTooLarge
	}
	x.req.Length = n
	if n < 0 {
		x.req.Length = wire.Unknown
	}
	x.req.Body = &body{x: x}
	return wire.NoFault
}

// body is the rest of a request's body.
type body struct {
	x   *exchange
	got int64
	err error
}

// Read implements [wire.Body].
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	x := b.x
	if t := x.limits.BodyTimeout; t > 0 {
		_ = x.control.SetReadDeadline(time.Now().Add(t)) // A stream that is gone says so when it is read.
	}
	n, err := x.r.Body.Read(p)
	b.got += int64(n)
	switch {
	case x.limits.BodyBytes > 0 && b.got > x.limits.BodyBytes:
		n, b.err = 0, wire.BodyTooLarge.Err()
	case err == nil:
	case errors.Is(err, io.EOF):
		b.err = io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = wire.BodyTimeout.Err()
	default:
		b.err = wire.ClientGone.Err()
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// Trailers implements [wire.Body].
func (b *body) Trailers() []wire.Field {
	var out []wire.Field
	for name, values := range b.x.r.Trailer {
		for _, v := range values {
			if known := wire.Classify(name); known == wire.Other && http1.ValidFieldValue(v) {
				out = append(out, wire.Field{Name: name, Value: v, Known: known})
			}
		}
	}
	return out
}

// Abort implements [wire.Body].
func (b *body) Abort() { _ = b.x.r.Body.Close() }
