package bindings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// maxAnswers bounds the addresses of one name that are tried.
const maxAnswers = 16

// attemptDelay is how long one address has before the next is tried beside it
// (RFC 8305, section 8).
const attemptDelay = 250 * time.Millisecond

// Resolver looks names up. *net.Resolver is one.
type Resolver interface {
	// LookupNetIP returns the addresses of host, best first. The network is "ip".
	// The host is rooted: it ends with a dot. Errors should be *net.DNSError.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialFunc is the DialContext method of a net.Dialer, replaced in tests.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens connections for one version, to allowed addresses only.
type dialer struct {
	resolver Resolver
	policy   *policy
	timeout  time.Duration
	dial     dialFunc
}

func newDialer(r Resolver, p *policy, timeout time.Duration) *dialer {
	d := &dialer{resolver: r, policy: p, timeout: timeout}
	nd := &net.Dialer{ControlContext: d.control}
	d.dial = nd.DialContext
	return d
}

// control runs after the socket is made and before it connects. It is the
// last word: the address here is the one that the kernel is about to dial.
func (d *dialer) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("dial %s: not a network for workers", network)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	return d.policy.check(a)
}

// DialContext dials host:port, by name or address. Its errors explain themselves
// through explain.
func (d *dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	t, err := parseTarget(address, 0)
	if err != nil {
		return nil, invalid(err.Error())
	}
	return d.dialTarget(ctx, t)
}

func (d *dialer) dialTarget(ctx context.Context, t target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	addrs := []netip.Addr{t.addr}
	if t.name != "" {
		var err error
		addrs, err = d.resolver.LookupNetIP(ctx, "ip", t.name+".")
		if err != nil {
			return nil, err
		}
	}
	allowed, err := d.allowed(addrs, t.port)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, allowed)
}

// allowed returns the addresses that may be dialled, without duplicates, the two
// families in turn so that a dead one costs little. If there is none, the error
// is the refusal of the first.
func (d *dialer) allowed(addrs []netip.Addr, port uint16) ([]netip.AddrPort, error) {
	var (
		first, second []netip.AddrPort
		refusal       error
	)
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a.Unmap(), port)
		if slices.Contains(first, ap) || slices.Contains(second, ap) {
			continue
		}
		if err := d.policy.check(ap); err != nil {
			if refusal == nil {
				refusal = err
			}
			continue
		}
		if len(first) == 0 || first[0].Addr().Is4() == ap.Addr().Is4() {
			first = append(first, ap)
		} else {
			second = append(second, ap)
		}
	}
	if len(first) == 0 {
		if refusal == nil {
			refusal = &net.DNSError{Err: "no addresses", IsNotFound: true}
		}
		return nil, refusal
	}
	var out []netip.AddrPort
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out[:min(len(out), maxAnswers)], nil
}

// race dials the addresses one after the other, the next one when one failed or
// took longer than attemptDelay; the first connection wins (RFC 8305). It returns
// when all attempts have ended or been cancelled.
func (d *dialer) race(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	running, next := 0, 0
	start := func() {
		address := addrs[next].String()
		next++
		running++
		go func() {
			conn, err := d.dial(ctx, "tcp", address)
			results <- result{conn, err}
		}()
	}
	var (
		won  net.Conn
		errs []error
	)
	timer := time.NewTimer(attemptDelay)
	defer timer.Stop()
	start()
	for running > 0 {
		select {
		case r := <-results:
			running--
			switch {
			case r.err != nil:
				errs = append(errs, r.err)
			case won != nil:
				hangUp(r.conn)
			default:
				won = r.conn
				cancel()
			}
		case <-timer.C:
		}
		if won == nil && ctx.Err() == nil && next < len(addrs) {
			start()
			timer.Reset(attemptDelay)
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, errors.Join(errs...)
}
