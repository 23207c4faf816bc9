package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Waits after an order that failed. The authorities count failures, too.
const (
	firstRetry = time.Minute
	lastRetry  = 6 * time.Hour
)

// orderTime is the default of Options.OrderTime.
const orderTime = 5 * time.Minute

var errForgotten = errors.New("no certificate is wanted any more")

// Status is where a host stands.
type Status string

// The states of a host.
const (
	Unmanaged Status = "unmanaged" // no certificate is wanted
	Pending   Status = "pending"   // one is being ordered
	Ready     Status = "ready"
	Failed    Status = "failed" // the last order failed, another one follows
)

// State describes a host.
type State struct {
	Status Status
	// Since is when it came to that.
	Since time.Time
	// NotAfter is when the certificate ends, if there is one.
	NotAfter time.Time
	// Err is why the last order failed.
	Err error
	// Retry is when the next order follows.
	Retry time.Time
}

// order is the certificate of a host, from the first wish for it on.
type order struct {
	name   string
	stop   context.CancelFunc
	retry  chan struct{} // of one
	mu     sync.Mutex
	state  State
	cause  error              // of the attempt under way, as the issuer told it
	cancel context.CancelFunc // of the attempt under way
	moved  chan struct{}      // closed when the state changes
}

// Manage orders certificates for hosts that have none, and renews those of all others in time. It returns at once.
func (m *Manager) Manage(hosts ...string) {
	if m.magic == nil {
		return
	}
	for _, h := range hosts {
		m.manage(strings.ToLower(h))
	}
}

// Retry orders a certificate now if the last order failed.
func (m *Manager) Retry(host string) {
	m.mu.RLock()
	o := m.hosts[strings.ToLower(host)]
	m.mu.RUnlock()
	if o == nil {
		return
	}
	select {
	case o.retry <- struct{}{}:
	default:
	}
}

// Forget stops renewing the certificates of hosts that are gone. Their files stay until they have expired.
func (m *Manager) Forget(hosts ...string) {
	for _, h := range hosts {
		h = strings.ToLower(h)
		m.mu.Lock()
		o := m.hosts[h]
		delete(m.hosts, h)
		m.mu.Unlock()
		if o == nil {
			continue
		}
		o.stop()
		m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: h}})
	}
}

// State says where a host stands.
func (m *Manager) State(host string) State {
	host = strings.ToLower(host)
	if m.magic == nil {
		if m.Ready(host) {
			return State{Status: Ready}
		}
		return State{Status: Unmanaged}
	}
	m.mu.RLock()
	o := m.hosts[host]
	m.mu.RUnlock()
	if o == nil {
		return State{Status: Unmanaged}
	}
	m.renewed(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

// ready is on the way of every handshake and of every request that might be redirected.
func (m *Manager) ready(host string) bool {
	m.mu.RLock()
	o := m.hosts[host]
	m.mu.RUnlock()
	if o == nil {
		return false
	}
	if o.holds() {
		return true
	}
	m.renewed(o)
	return o.holds()
}

// holds reports whether there is a certificate that has not ended, as far as is known.
func (o *order) holds() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state.Status == Ready && time.Now().Before(o.state.NotAfter)
}

// manage returns the order of a host and begins it if need be.
func (m *Manager) manage(host string) *order {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.hosts[host]; o != nil {
		return o
	}
	ctx, stop := context.WithCancel(m.ctx)
	o := &order{name: host, stop: stop, retry: make(chan struct{}, 1), moved: make(chan struct{})}
	o.state = State{Status: Pending, Since: time.Now()}
	if m.closed {
		stop()
		o.state = State{Status: Failed, Err: context.Canceled}
		return o
	}
	m.hosts[host] = o
	m.orders.Go(func() { m.fulfil(ctx, o) })
	return o
}

// fulfil orders until there is a certificate.
func (m *Manager) fulfil(ctx context.Context, o *order) {
	defer func() {
		if ctx.Err() != nil {
			o.set(State{Status: Failed, Err: errForgotten}) // so that nobody waits
		}
		o.stop()
	}()
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := m.attempt(ctx, o)
		if err == nil || ctx.Err() != nil {
			return
		}
		o.set(State{Status: Failed, Err: err, Retry: time.Now().Add(pause)})
		m.o.Log.WarnContext(ctx, "cannot get a certificate", "host", o.name, "error", err, "retry_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-o.retry:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		o.set(State{Status: Pending, Err: err})
	}
}

// attempt takes the certificate from the disk, or orders it.
func (m *Manager) attempt(ctx context.Context, o *order) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.OrderTime)
	defer cancel()
	o.mu.Lock()
	o.cause, o.cancel = nil, cancel // The library would try again by itself, unseen; see event.
	o.mu.Unlock()
	cert, err := m.magic.CacheManagedCertificate(ctx, o.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = m.magic.ObtainCertAsync(ctx, o.name); err == nil {
			cert, err = m.magic.CacheManagedCertificate(ctx, o.name)
		}
	case err == nil && cert.Expired():
		if err = m.magic.RenewCertAsync(ctx, o.name, true); err == nil {
			m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: o.name}})
			cert, err = m.magic.CacheManagedCertificate(ctx, o.name)
		}
	}
	if err == nil {
		o.set(State{Status: Ready, NotAfter: cert.Leaf.NotAfter})
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause != nil {
		err = o.cause
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the certificate authority did not finish within %v: %w", m.o.OrderTime, err)
	}
	return err
}

// event is what the library tells of its work.
func (m *Manager) event(_ context.Context, name string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	m.mu.RLock()
	o := m.hosts[host]
	m.mu.RUnlock()
	if o == nil {
		return nil
	}
	if name == "cert_failed" {
		err, _ := data["error"].(error)
		o.failed(err)
	}
	return nil
}

// renewed takes over when the newest certificate ends. The library tells of a renewal before the new one is in its
// cache, so this looks there when it is asked.
func (m *Manager) renewed(o *order) {
	for _, c := range m.cache.AllMatchingCertificates(o.name) {
		o.mu.Lock()
		if o.state.Status == Ready && c.Leaf != nil && c.Leaf.NotAfter.After(o.state.NotAfter) {
			o.state.NotAfter, o.state.Err = c.Leaf.NotAfter, nil
		}
		o.mu.Unlock()
	}
}

// failed ends the attempt under way.
func (o *order) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state.Status == Ready {
		o.state.Err = err // A renewal failed; the certificate still holds.
		return
	}
	if o.cause = err; o.cancel != nil {
		o.cancel()
	}
}

func (o *order) set(s State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.Since = time.Now()
	o.state = s
	close(o.moved)
	o.moved = make(chan struct{})
}

// wait returns when there is a certificate, or when it is known that there will be none soon.
func (o *order) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		state, moved := o.state, o.moved
		o.mu.Unlock()
		switch state.Status {
		case Ready:
			return nil
		case Failed:
			return state.Err
		case Pending, Unmanaged:
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
