package edge

import (
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// TLS is how the edge speaks HTTPS.
type TLS struct {
	// Config has the certificates. It should offer "h2" and "http/1.1".
	Config *tls.Config
	// Challenge returns the answer to a certificate authority that asks a host for a path, to see who
	// has it. It may be nil.
	Challenge func(host, path string) (answer string, ok bool)
	// Redirect reports whether a plain request for a host is to be sent on to HTTPS. It must be quick, and
	// false as long as there is no certificate for the host. It may be nil: none is.
	Redirect func(host string) bool
	// Port is the one that visitors reach HTTPS on.
	Port int
	// HSTS is how long browsers are told to use nothing but HTTPS for a host; 0: they are not told.
	HSTS time.Duration
}

// ServeTLS is Serve for HTTPS. It needs Options.TLS.
func (s *Server) ServeTLS(ln net.Listener) error {
	return s.http.ServeTLS(ln, s.tls.Config, s.http2.ServeConn)
}

// challengePath is where certificate authorities ask (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// beforeTLS answers plain requests that are not for the worker: those of a certificate authority, and those that
// are sent on to HTTPS.
func (c *call) beforeTLS() bool {
	t := c.s.tls
	if c.client.scheme != "http" || c.r.Peer.Inside {
		return false
	}
	path, _ := c.r.Path()
	if t.Challenge != nil && c.r.Method == http.MethodGet && strings.HasPrefix(path, challengePath) {
		if answer, ok := t.Challenge(c.host, path); ok {
			c.text(http.StatusOK, answer)
			return true
		}
	}
	if t.Redirect == nil || !t.Redirect(c.host) {
		return false
	}
	host := c.host
	if t.Port != 443 {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(t.Port))
	}
	// 308 keeps the method and the body of what is sent on.
	location := "https://" + host + strings.ReplaceAll(c.r.Target, `\`, "%5C")
	c.text(http.StatusPermanentRedirect, "", wire.Field{Name: "Location", Value: location})
	return true
}

// text answers with a line of text.
func (c *call) text(status int, body string, more ...wire.Field) {
	fields := append(
		c.added[:0],
		wire.Field{Name: "Server", Value: "selvage", Known: wire.Server},
		wire.Field{Name: "CF-Ray", Value: c.ray, Known: wire.Platform},
		wire.Field{Name: "Content-Type", Value: "text/plain; charset=utf-8"},
		wire.Field{Name: "Cache-Control", Value: "no-store"},
	)
	fields = append(fields, more...)
	c.added = fields
	c.writeHead(status, fields, int64(len(body)))
	if c.w.Write([]byte(body)) == nil && c.w.Finish(nil) == nil {
		c.bytesOut = int64(len(body))
	}
}

// strictTransport adds Strict-Transport-Security (RFC 6797) to an answer over HTTPS, unless the app sets its own.
func (c *call) strictTransport(fields []wire.Field) []wire.Field {
	if c.s.tls.HSTS <= 0 || c.client.scheme != "https" || c.r.Peer.Inside || c.status == http.StatusSwitchingProtocols {
		return fields
	}
	for i := range fields {
		if f := &fields[i]; !f.Drop && wire.EqualFold(f.Name, "Strict-Transport-Security") {
			return fields
		}
	}
	value := "max-age=" + strconv.FormatInt(int64(c.s.tls.HSTS/time.Second), 10)
	return append(fields, wire.Field{Name: "Strict-Transport-Security", Value: value})
}
