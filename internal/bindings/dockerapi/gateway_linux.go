package dockerapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/netns"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	// The port of the gateway, as the runtime knows it.
	gatewayPort = "39001/tcp"

	headTimeout = 10 * time.Second
	maxHead     = 64 << 10
	maxConns    = 4096 // open connections of one container, in both directions
	// A port that does not listen yet is tried for so long, in the beginning of a
	// container's life and while nothing has been reached in it.
	openTimeout = 2 * time.Second
	openPause   = time.Millisecond
	young       = 60 * time.Second
	// What the package @cloudflare/containers asks for a port where nothing listens, to
	// know whether the container runs, when its class names no port. It is not held.
	probePort = "33"
)

// gateway stands for the container that Docker users have beside theirs: it listens
// in the network of the worker's process, and passes on what comes to the network of
// an instance.
type gateway struct {
	h    *Handler
	name string
	ns   *netns.NS // of the worker's process

	mu     sync.Mutex
	ln     net.Listener
	in     *instances.Instance
	opened map[string]bool // ports of in that were reached
	conns  map[net.Conn]struct{}
	closed bool
	egress egressSettings
	ca     *authority
}

func (h *Handler) createGateway(w http.ResponseWriter, r *http.Request, name string) error {
	ns, err := callersNetwork(r.Context())
	if err != nil {
		return err
	}
	if err := h.wayOut(r.Context()); err != nil {
		_ = ns.Close() // nothing was written
		return err
	}
	g := &gateway{h: h, name: name, ns: ns, conns: make(map[net.Conn]struct{}), ca: &h.ca}
	h.mu.Lock()
	taken := h.gateways[name] != nil
	if !taken && !h.closed {
		h.gateways[name] = g
	}
	closed := h.closed
	h.mu.Unlock()
	switch {
	case taken:
		_ = ns.Close() // nothing was written
		return &apiError{http.StatusConflict, fmt.Sprintf("the container name %.200q is already in use", name)}
	case closed:
		_ = ns.Close() // as above
		return instances.Fail(instances.CodeUnavailable, "the Worker's process is ending")
	}
	writeJSON(w, http.StatusCreated, map[string]any{"Id": name, "Warnings": []string{}})
	return nil
}

func (h *Handler) gateway(name string) *gateway {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gateways[name]
}

func (h *Handler) gatewayOf(in *instances.Instance) *gateway {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gateways {
		if g.serves(in) {
			return g
		}
	}
	return nil
}

func (h *Handler) removeGateway(name string) bool {
	h.mu.Lock()
	g := h.gateways[name]
	delete(h.gateways, name)
	h.mu.Unlock()
	if g != nil {
		g.close()
	}
	return g != nil
}

func (g *gateway) serve(in *instances.Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in, g.opened = in, make(map[string]bool)
}

func (g *gateway) serves(in *instances.Instance) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in == in
}

// describe is the answer to the question for its port.
func (g *gateway) describe() map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	status, ports := "created", map[string]any{}
	if g.ln != nil {
		status = "running"
		_, port, _ := net.SplitHostPort(g.ln.Addr().String())
		ports[gatewayPort] = []map[string]string{{"HostIp": "127.0.0.1", "HostPort": port}}
	}
	return map[string]any{
		"Id": g.name, "Name": "/" + g.name, "Config": map[string]string{"Image": workerd.GatewayImage},
		"State":           map[string]any{"Status": status, "Running": g.ln != nil},
		"NetworkSettings": map[string]any{"Ports": ports},
	}
}

// start listens in the network of the worker's process.
func (g *gateway) start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return noSuchContainer(g.name)
	}
	if g.ln != nil {
		return &apiError{http.StatusNotModified, "it runs already"}
	}
	err := g.ns.Do(func() (err error) {
		g.ln, err = new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
		return err
	})
	if err != nil {
		g.ln = nil
		return fmt.Errorf("listen for a container: %w", err)
	}
	go g.accept(g.ln, g.handle)
	return nil
}

// accept has each connection answered, until ln is closed.
func (g *gateway) accept(ln net.Listener, answer func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return // closed
		}
		if !g.add(c) {
			return
		}
		go func() {
			defer g.drop(c)
			answer(c)
		}()
	}
}

// add notes an open connection, so that close ends it.
func (g *gateway) add(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.conns) >= maxConns {
		_ = c.Close() // nobody waits for it, or there are too many
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *gateway) drop(c net.Conn) {
	_ = c.Close() // what was to be sent has been
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
}

func (g *gateway) close() {
	g.mu.Lock()
	g.closed = true
	ln, conns := g.ln, g.conns
	g.conns = make(map[net.Conn]struct{})
	g.mu.Unlock()
	if ln != nil {
		_ = ln.Close() // nothing to be done about it
	}
	for c := range conns {
		_ = c.Close() // as above
	}
	_ = g.ns.Close() // as above
}

// handle answers one connection of the runtime.
func (g *gateway) handle(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(headTimeout))
	br := bufio.NewReader(&io.LimitedReader{R: c, N: maxHead})
	r, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch {
	case r.Method == http.MethodConnect:
		_ = c.SetReadDeadline(time.Time{})
		g.connect(ctx, c, br, r.Header.Get("X-Dst-Addr"))
	case r.Method == http.MethodPut && r.URL.Path == "/egress":
		var s egressSettings
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			reply(c, "400 Bad Request")
			return
		}
		g.mu.Lock()
		g.egress = s
		g.mu.Unlock()
		reply(c, "200 OK")
	case r.Method == http.MethodGet && r.URL.Path == "/ca":
		cert, err := g.ca.pem()
		if err != nil {
			reply(c, "500 Internal Server Error")
			return
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(cert), cert) // who does not read it is gone
	default:
		reply(c, "404 Not Found")
	}
}

func reply(c net.Conn, status string) {
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status) // who does not read it is gone
}

// connect passes a connection on to a port of the instance.
func (g *gateway) connect(ctx context.Context, c net.Conn, br *bufio.Reader, to string) {
	_, port, err := net.SplitHostPort(to)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
		reply(c, "400 Bad Request")
		return
	}
	inner, err := g.dial(ctx, port)
	if err != nil {
		// The runtime reads this as "the container is not listening to port".
		reply(c, "400 Bad Request")
		return
	}
	if !g.add(inner) {
		return
	}
	defer g.drop(inner)
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	g.converse(ctx, c, br, inner)
}

// admitWait bounds how long a request waits for a container to become healthy.
const admitWait = 10 * time.Second

// admit waits until the instance may have requests. One that is not there is left to
// dial.
func (g *gateway) admit(ctx context.Context) error {
	g.mu.Lock()
	in := g.in
	g.mu.Unlock()
	if in == nil || !in.State().Running {
		return nil
	}
	err := in.Admit(ctx, admitWait)
	if own, ok := errors.AsType[*instances.Error](err); ok && own.Code == instances.CodeNotRunning {
		return nil
	}
	return err
}

// dial connects to a port. In the beginning, when the container's program has
// perhaps not come so far, it is tried again: the caller then gets the first answer
// as early as there is one.
func (g *gateway) dial(ctx context.Context, port string) (net.Conn, error) {
	g.mu.Lock()
	in, opened := g.in, g.opened[port]
	g.mu.Unlock()
	if in == nil {
		return nil, errors.New("no container")
	}
	c, since, err := in.Container()
	if err != nil {
		return nil, err
	}
	patience := time.Duration(0)
	if !opened && port != probePort && time.Since(since) < young {
		patience = openTimeout
	}
	conn, err := try(ctx, in, c, port, patience)
	switch {
	case err == nil && !opened:
		g.mu.Lock()
		g.opened[port] = true
		g.mu.Unlock()
	case err != nil && opened && in.State().Running:
		in.Failed() // it was open
	}
	return conn, err
}

// try connects, again and again for as long as patience lasts.
func try(ctx context.Context, in *instances.Instance, c driver.Container, port string, patience time.Duration) (conn net.Conn, err error) {
	end := time.Now().Add(patience)
	err = c.Network().Do(func() error {
		pause := openPause
		for {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp4", "127.0.0.1:"+port)
			if err == nil || !time.Now().Before(end) {
				return err
			}
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-in.Done():
				t.Stop()
				return err
			case <-ctx.Done():
				t.Stop()
				return err
			}
			pause = min(2*pause, 4*openPause)
		}
	})
	return conn, err
}

// splice passes bytes on in both directions until both have ended. What the reader
// has of a's is sent first.
func splice(a net.Conn, ahead *bufio.Reader, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if n := buffered(ahead); n > 0 {
			head, _ := ahead.Peek(n) // it is there
			if _, err := b.Write(head); err != nil {
				_ = a.Close() // as below
				return
			}
		}
		pass(b, a)
	}()
	pass(a, b)
	<-done
}

func buffered(r *bufio.Reader) int {
	if r == nil {
		return 0
	}
	return r.Buffered()
}

// pass copies from one to the other and passes on its end.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	end(to, from, err)
}
