package builds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// proxyPort is where a build finds its proxy, on its own loopback.
const proxyPort = 3128

const (
	maxTunnels    = 64 // connections of one build at the same time
	proxyHeader   = 30 * time.Second
	listenerAwait = 10 * time.Second
)

// proxyEnv tells the usual programs about the proxy.
func proxyEnv() []string {
	u := "http://127.0.0.1:" + strconv.Itoa(proxyPort)
	return []string{
		"HTTP_PROXY=" + u, "HTTPS_PROXY=" + u, "http_proxy=" + u, "https_proxy=" + u, "NO_PROXY=localhost,127.0.0.1", "no_proxy=localhost,127.0.0.1",
		"NODE_USE_ENV_PROXY=1",
	}
}

// proxy is the way out of a build: an HTTP proxy that listens in the network of
// the build, through a socket that was made there, and dials from here.
type proxy struct {
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
	ours, theirs *os.File // the two ends over which the socket comes
	server       *http.Server
	wg           sync.WaitGroup
	slots        chan struct{}
}

func newProxy(dial func(ctx context.Context, network, address string) (net.Conn, error)) (*proxy, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return nil, fmt.Errorf("builds: %w", os.NewSyscallError("socketpair", err))
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return &proxy{
		dial: dial, ours: os.NewFile(uintptr(fds[0]), "proxy"), theirs: os.NewFile(uintptr(fds[1]), "proxy of the build"),
		slots: make(chan struct{}, maxTunnels),
	}, nil
}

func (p *proxy) files() []*os.File { return []*os.File{p.theirs} }

// serve takes the socket when it comes, and then its connections.
func (p *proxy) serve(ctx context.Context) {
	_ = p.theirs.Close() // so that ours ends when the process has not sent anything
	transport := &http.Transport{DialContext: p.dial, DisableCompression: true, MaxIdleConns: 16, IdleConnTimeout: time.Minute}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL = r.In.URL; r.Out.Host = r.In.Host },
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	p.server = &http.Server{
		ReadHeaderTimeout: proxyHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case p.slots <- struct{}{}:
				defer func() { <-p.slots }()
			case <-r.Context().Done():
				return
			}
			switch {
			case r.Method == http.MethodConnect:
				p.tunnel(w, r)
			case r.URL.Scheme == "http" && r.URL.Host != "":
				forward.ServeHTTP(w, r)
			default:
				http.Error(w, "this is the proxy of a build", http.StatusBadRequest)
			}
		}),
	}
	p.wg.Go(func() {
		defer transport.CloseIdleConnections()
		ln, err := receiveListener(p.ours)
		if err != nil {
			return // the process did not come that far, and says why
		}
		_ = p.server.Serve(ln)
	})
}

// receiveListener waits for the socket that the sandbox sends.
func receiveListener(from *os.File) (net.Listener, error) {
	timeout := unix.NsecToTimeval(int64(listenerAwait))
	if err := unix.SetsockoptTimeval(int(from.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	if n == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("builds: no socket was sent"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("builds: no socket was sent"), err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fds[0]), "listener of a build")
	defer f.Close() //nolint:errcheck // FileListener has its own
	return net.FileListener(f)
}

// tunnel connects the build to an address.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	out, err := p.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = out.Close() }()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = in.Close() }()
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	stop := context.AfterFunc(r.Context(), func() { _ = out.Close(); _ = in.Close() })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(out, buffered)
		if c, ok := out.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	})
	_, _ = io.Copy(in, out)
	_ = in.Close()
	wg.Wait()
}

// close ends the proxy. The build is over.
func (p *proxy) close() {
	_ = p.theirs.Close()
	_ = p.ours.Close()
	if p.server != nil {
		_ = p.server.Close()
	}
	p.wg.Wait()
}
