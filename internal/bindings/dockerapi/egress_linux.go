package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/netns"
)

const (
	// The address of the name server in a container's network.
	nameserver = "127.0.0.53"

	// How long a client may take to speak first, when names are intercepted: one that
	// waits for the server is taken for a protocol without names.
	speakTimeout = 250 * time.Millisecond
	headerPeek   = 16 << 10

	dialTimeout = 15 * time.Second
)

// Attach implements [instances.Network]: all that the container sends by TCP arrives
// here, and so do its questions for names.
func (g *gateway) Attach(ctx context.Context, c driver.Container) error {
	ns := c.Network()
	var lc net.ListenConfig
	var ln net.Listener
	var names net.PacketConn
	err := ns.Do(func() (err error) {
		if ln, err = lc.Listen(ctx, "tcp4", "0.0.0.0:0"); err != nil {
			return err
		}
		names, err = lc.ListenPacket(ctx, "udp4", nameserver+":53")
		return err
	})
	if err == nil {
		err = ns.Redirect(portOf(ln))
	}
	if err != nil {
		if ln != nil {
			err = errors.Join(err, ln.Close())
		}
		if names != nil {
			err = errors.Join(err, names.Close())
		}
		return fmt.Errorf("connect a container: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		<-c.Done()
		end()
		_ = ln.Close()    // nothing to be done about it
		_ = names.Close() // as above
	}()
	go g.acceptOutgoing(life, ln)
	go g.serveNames(life, names)
	return nil
}

// Nameserver implements [instances.Network].
func (g *gateway) Nameserver() string { return nameserver }

func portOf(ln net.Listener) uint16 {
	a, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return uint16(a.Port) //nolint:gosec // a port
}

func (g *gateway) settings() egressSettings {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.egress
}

func (g *gateway) acceptOutgoing(ctx context.Context, ln net.Listener) {
	g.accept(ln, func(c net.Conn) { g.outgoing(ctx, c) })
}

// outgoing decides where a connection of the container goes: to the worker when it
// intercepts it, to the network when the container may, or nowhere.
func (g *gateway) outgoing(ctx context.Context, c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	to, err := netns.OriginalDestination(tcp)
	if err != nil || to.Addr().IsLoopback() {
		return // it was for the container itself
	}
	s := g.settings()
	if !s.intercepts() {
		if s.Internet.Enabled {
			g.direct(ctx, c, nil, to)
		}
		return
	}
	br := bufio.NewReaderSize(c, headerPeek)
	kind, host := sniff(ctx, c, br)
	if host != "" && !s.names(host) || host == "" && !s.addresses() {
		if s.Internet.Enabled {
			g.direct(ctx, c, br, to)
		}
		return
	}
	g.intercept(ctx, c, br, to, s, kind, host)
}

// direct passes a connection on to the network.
func (g *gateway) direct(ctx context.Context, c net.Conn, ahead *bufio.Reader, to netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	out, err := g.h.outbound.Dial(ctx, to)
	if err != nil {
		reset(c)
		return
	}
	if !g.add(out) {
		return
	}
	defer g.drop(out)
	splice(c, ahead, out)
}

// reset closes a connection so that the other side sees that it failed.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the caller closes it
	}
}

// What a client speaks, as the runtime is told.
const (
	speaksOther = ""
	speaksHTTP  = "X-Hostname"
	speaksTLS   = "X-Tls-Sni"
)

// sniff looks at what a client sends first and returns what it speaks and to which
// host. What was read stays in the reader.
func sniff(ctx context.Context, c net.Conn, br *bufio.Reader) (kind, host string) {
	_ = c.SetReadDeadline(time.Now().Add(speakTimeout))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	first, err := br.Peek(1)
	if err != nil {
		return speaksOther, ""
	}
	const handshake = 22 // the type of a TLS record
	if first[0] == handshake {
		return speaksTLS, serverName(ctx, br)
	}
	for n := br.Buffered(); n < headerPeek; n = br.Buffered() {
		head, _ := br.Peek(n) // it is there
		if bytes.Contains(head, []byte("\r\n\r\n")) {
			break
		}
		if _, err := br.Peek(n + 1); err != nil {
			break
		}
	}
	head, _ := br.Peek(br.Buffered())
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return speaksOther, ""
	}
	host, _, err = net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return speaksHTTP, host
}

var errSeen = errors.New("the hello was read")

// serverName reads the name in a TLS hello that the reader begins with.
func serverName(ctx context.Context, br *bufio.Reader) string {
	name := ""
	for n := br.Buffered(); ; n = br.Buffered() {
		hello, _ := br.Peek(n) // it is there
		err := tls.Server(helloConn{Reader: bytes.NewReader(hello)}, &tls.Config{
			GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				name = h.ServerName
				return nil, errSeen
			},
		}).HandshakeContext(ctx)
		if errors.Is(err, errSeen) || n >= headerPeek {
			return name
		}
		if _, err := br.Peek(n + 1); err != nil {
			return name
		}
	}
}

// helloConn is a connection that only gives what was read of another.
type helloConn struct {
	net.Conn
	*bytes.Reader
}

func (h helloConn) Read(p []byte) (int, error)       { return h.Reader.Read(p) }
func (h helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (h helloConn) SetDeadline(time.Time) error      { return nil }
func (h helloConn) SetWriteDeadline(time.Time) error { return nil }
func (h helloConn) Close() error                     { return nil }

// intercept asks the runtime, which knows what the object wants intercepted.
func (g *gateway) intercept(ctx context.Context, c net.Conn, br *bufio.Reader, to netip.AddrPort, s egressSettings, kind, host string) {
	up, status, err := g.ask(ctx, to, s.Port, kind, host)
	if err != nil {
		reset(c)
		return
	}
	if !g.add(up) {
		return
	}
	defer g.drop(up)
	switch {
	case status == http.StatusOK && kind == speaksTLS:
		g.terminate(ctx, c, br, up, host)
	case status == http.StatusOK, status == http.StatusAccepted && kind == speaksOther:
		splice(c, br, up)
	case status == http.StatusAccepted && s.Internet.Enabled:
		_ = up.Close() // it would pass it on; so can we, without the detour
		g.direct(ctx, c, br, to)
	default:
		reset(c)
	}
}

// ask opens a tunnel to the runtime for a connection.
func (g *gateway) ask(ctx context.Context, to netip.AddrPort, port int, kind, host string) (conn net.Conn, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err = g.ns.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	head := "CONNECT " + to.String() + " HTTP/1.1\r\nHost: " + to.String() + "\r\n"
	if kind != speaksOther && host != "" {
		head += kind + ": " + host + "\r\n"
	}
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	if _, err = io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	// Byte by byte: what follows the head belongs to the tunnel.
	r := bufio.NewReaderSize(oneByte{conn}, headerPeek)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	_ = res.Body.Close() // it is the tunnel, which the reader has not touched
	_ = conn.SetDeadline(time.Time{})
	return conn, res.StatusCode, nil
}

// oneByte reads one byte at a time.
type oneByte struct{ r io.Reader }

// Read implements io.Reader.
func (o oneByte) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return o.r.Read(p[:1])
}

// terminate speaks TLS with the client, as who it wants to speak with, and passes on
// what it says.
func (g *gateway) terminate(ctx context.Context, c net.Conn, br *bufio.Reader, up net.Conn, host string) {
	cert, err := g.ca.leaf(host)
	if err != nil {
		reset(c)
		return
	}
	t := tls.Server(&aheadConn{Conn: c, r: br}, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return
	}
	splice(t, nil, up)
}

// aheadConn is a connection of which something was read already.
type aheadConn struct {
	net.Conn
	r io.Reader
}

func (a *aheadConn) Read(p []byte) (int, error) { return a.r.Read(p) }

// wayOut makes the runtime's way out, once.
func (h *Handler) wayOut(ctx context.Context) error {
	h.making.Lock()
	defer h.making.Unlock()
	h.mu.Lock()
	made := h.way != nil
	h.mu.Unlock()
	if made {
		return nil
	}
	ns, err := callersNetwork(ctx)
	if err != nil {
		return err
	}
	if err := h.passThrough(ctx, ns); err != nil {
		return errors.Join(err, ns.Close())
	}
	return nil
}

// passThrough listens in the network of the worker's process for what the runtime
// passes on of a container's connections: it has no other way out.
func (h *Handler) passThrough(ctx context.Context, ns *netns.NS) error {
	var ln net.Listener
	err := ns.Do(func() (err error) {
		ln, err = new(net.ListenConfig).Listen(ctx, "tcp4", "0.0.0.0:0")
		return err
	})
	if err == nil {
		err = ns.Redirect(portOf(ln))
	}
	if err != nil {
		if ln != nil {
			err = errors.Join(err, ln.Close())
		}
		return fmt.Errorf("a way out of containers: %w", err)
	}
	way := &gateway{h: h, ns: ns, conns: make(map[net.Conn]struct{}), ln: ln}
	way.egress.Internet.Enabled = true // the runtime has asked the object's settings
	h.mu.Lock()
	h.way = way
	h.mu.Unlock()
	go way.acceptOutgoing(h.life, ln) //nolint:contextcheck // it outlives the call
	return nil
}
