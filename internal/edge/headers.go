package edge

import (
	"net/http"
	"strconv"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// appendRequestHead appends the head of c's request as the worker gets it. What
// the runtime's own fields mean is laid down in internal/workers/workerd.
func (c *call) appendRequestHead(b []byte) []byte {
	r := c.r
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.Drop && c.passes(f.Known) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	b = c.appendOrigin(b)
	switch {
	case r.Length > 0 || r.Length == 0 && wantsLength(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, "\r\n"...)
	case r.Length == wire.Unknown:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if c.upgrades() {
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	return append(b, "\r\n"...)
}

// passes reports whether a field from the visitor goes on to the worker.
func (c *call) passes(k wire.Known) bool {
	switch k { //nolint:exhaustive // all others pass
	case wire.Platform, wire.Internal, wire.InternalProto, wire.ForwardedFor, wire.ForwardedProto:
		return false
	case wire.InternalDepth:
		return c.r.Peer.Inside
	case wire.Forwarding:
		return c.client.trusted
	case wire.Trailer:
		return c.r.Length == wire.Unknown
	}
	return true
}

// appendOrigin appends what the platform says about the request.
func (c *call) appendOrigin(b []byte) []byte {
	b = appendField(b, "CF-Ray", c.ray)
	if c.client.ip != "" {
		b = appendField(b, "CF-Connecting-IP", c.client.ip)
		b = append(b, "X-Forwarded-For: "...)
		if c.client.trusted {
			for i := range c.r.Fields {
				if f := &c.r.Fields[i]; f.Known == wire.ForwardedFor && f.Value != "" {
					b = append(b, f.Value...)
					b = append(b, ", "...)
				}
			}
		}
		b = append(b, c.r.Peer.IP...)
		b = append(b, "\r\n"...)
	}
	scheme := c.client.scheme
	b = appendField(b, "X-Forwarded-Proto", scheme)
	if scheme != "http" {
		// What follows says http when it is not there, and each field of a
		// request costs the runtime a microsecond of the one core it has.
		b = append(b, `CF-Visitor: {"scheme":"`...)
		b = append(b, scheme...)
		b = append(b, "\"}\r\n"...)
		b = appendField(b, "Selvage-Proto", scheme)
	}
	// request.cf: only what is known. No place is invented.
	b = append(b, `Selvage-CF: {"httpProtocol":"`...)
	b = append(b, c.r.Proto...)
	return append(b, "\"}\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// wantsLength says for which methods an empty body is worth stating (RFC 9110
// section 8.6).
func wantsLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// upgrades reports whether the request asks for a WebSocket, the only protocol
// that is passed through.
func (c *call) upgrades() bool {
	return wire.Is(c.r.Upgrade, "websocket") && c.r.Method == http.MethodGet
}

// filterResponse marks what the visitor does not get and adds what the platform
// says.
func (c *call) filterResponse() []wire.Field {
	fields := c.head.Fields
	for i := range fields {
		f := &fields[i]
		switch f.Known { //nolint:exhaustive // all others pass
		case wire.Server, wire.Internal, wire.InternalProto, wire.InternalDepth:
			f.Drop = true
		case wire.Platform:
			f.Drop = f.Drop || wire.Is(f.Name, "cf-ray")
		case wire.Trailer:
			f.Drop = f.Drop || !c.head.Chunked
		case wire.SetCookie:
			if len(c.s.suffixes) > 0 && sharedCookie(f.Value, c.s.suffixes) {
				f.Drop = true
				c.droppedCookie(f.Value)
			}
		}
	}
	fields = append(
		fields,
		wire.Field{Name: "Server", Value: "selvage", Known: wire.Server},
		wire.Field{Name: "CF-Ray", Value: c.ray, Known: wire.Platform},
	)
	if c.target.NoIndex {
		fields = append(fields, wire.Field{Name: "X-Robots-Tag", Value: "noindex"})
	}
	c.head.Fields = fields
	return fields
}
