package rpcrelay

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// Target is a process that takes calls. Its methods are called with locks of the
// session held: they must be quick, except Dial.
type Target interface {
	// Acquire counts the caller in: the process lives until Release. It returns
	// false when new calls have to go elsewhere; [Options.Route] says where.
	Acquire() bool
	Release()
	// Dial connects to the process's socket, on which a CONNECT opens RPC.
	Dial(ctx context.Context) (net.Conn, error)
	// Stopping is closed once Acquire will not succeed any more.
	Stopping() <-chan struct{}
}

// Options configures a session.
type Options struct {
	// Choose says, for each new call, which of several targets it goes to, by a
	// key of the caller's own making (comparable; a version, for instance). It is
	// called with locks held. Nil stands for one that always returns nil.
	Choose func() any
	// Route returns the target for calls with a key, acquired once; it may start a
	// process. The link to it then takes calls with that key until the target stops.
	// What its error says is shown to the calling worker: see [CallError].
	Route func(ctx context.Context, key any) (Target, error)
	// Begin is called for each new call and End when that is over. An error of
	// Begin refuses the call, and then there is no End. Both may be nil. They are
	// called with locks held.
	Begin func() error
	End   func()
	// RouteTimeout bounds Route and Dial together; 30 seconds.
	RouteTimeout time.Duration
	// Host is the target of the CONNECT request that opens RPC.
	Host string
	Log  *slog.Logger
}

// CallError is an error whose text may be shown to the worker that called.
type CallError struct {
	Text string
	Err  error // private cause, may be nil
}

func (f *CallError) Error() string { return f.Text }

// Unwrap returns the private cause.
func (f *CallError) Unwrap() error { return f.Err }

// Bounds of what one caller may have open at a time.
const (
	maxQuestions = 1 << 16
	maxExports   = 1 << 17
	// The bound maxWaiting is for what waits for a process to start, or for a peer to read,
	// in bytes: beyond it nothing more is read from the other side.
	maxWaiting = 1 << 20
)

// Serve relays the calls of one caller until its connection ends, ctx ends or it
// breaks the protocol, and closes conn. The caller's CONNECT request was read
// already, and so were the bytes of early; Serve answers it.
//
// The error is nil when the caller hung up.
func Serve(ctx context.Context, conn net.Conn, early []byte, o Options) error {
	if o.RouteTimeout == 0 {
		o.RouteTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := newSession(conn, early, o)
	return s.run(ctx)
}
