package kv

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
)

// slot is the place of one namespace among the open ones.
//
//	(none) ── acquire ──▶ opening ──▶ open ── evicted, deleted, closed ──▶ closing ──▶ (none)
//	                         └ fails ──▶ (none)
//
// Whoever acquires while it is opening or closing waits for that to end.
type slot struct {
	account string
	space   *space
	refs    int           // uses under way; under Service.mu
	used    uint64        // when it was last used, by Service.clock
	ready   chan struct{} // closed when it is open, or could not be opened
	err     error         // why it could not be opened
	closing bool
	idle    chan struct{} // closed when refs is 0 and closing
	gone    chan struct{} // closed when it is closed and out of the map
}

// acquire returns the open space of a namespace and how to give it back. The
// error is CodeNamespaceNotFound when the account has none of that id.
func (s *Service) acquire(ctx context.Context, account, id string) (*space, func(), error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, nil, ErrClosed
		}
		sl := s.slots[id]
		if sl == nil {
			sl = &slot{ready: make(chan struct{}), idle: make(chan struct{}), gone: make(chan struct{})}
			s.slots[id] = sl
			s.open++
			s.use(sl)
			s.evict() //nolint:contextcheck // what it closes is not this call's
			s.mu.Unlock()
			s.openSlot(ctx, id, sl)
			return s.opened(account, sl)
		}
		if sl.closing {
			s.mu.Unlock()
			select {
			case <-sl.gone:
				continue
			case <-ctx.Done():
				return nil, nil, context.Cause(ctx)
			}
		}
		s.use(sl)
		s.mu.Unlock()
		select {
		case <-sl.ready:
		case <-ctx.Done():
			s.release(sl)
			return nil, nil, context.Cause(ctx)
		}
		return s.opened(account, sl)
	}
}

// use counts one more use. The caller holds s.mu.
func (s *Service) use(sl *slot) {
	s.clock++
	sl.refs, sl.used = sl.refs+1, s.clock
}

// opened is the end of acquire, for a slot that is ready.
func (s *Service) opened(account string, sl *slot) (*space, func(), error) {
	err := sl.err
	if err == nil && sl.account != account {
		err = namespaceNotFound()
	}
	if err != nil {
		s.release(sl)
		return nil, nil, err
	}
	return sl.space, func() { s.release(sl) }, nil
}

// openSlot opens the database, if there is such a namespace.
func (s *Service) openSlot(ctx context.Context, id string, sl *slot) {
	sl.err = s.tryOpen(ctx, id, sl)
	if sl.err != nil {
		s.mu.Lock()
		if !sl.closing { // else shut takes it out
			delete(s.slots, id)
			s.open--
		}
		s.mu.Unlock()
	}
	close(sl.ready)
}

func (s *Service) tryOpen(ctx context.Context, id string, sl *slot) error {
	if !isNamespaceID(id) {
		return namespaceNotFound()
	}
	// Others may wait for this: the caller's context must not spoil it for them.
	err := s.o.Store.DB.Read().QueryRowContext(context.WithoutCancel(ctx), "SELECT account_id FROM kv_namespaces WHERE id = ?", id).Scan(&sl.account)
	if errors.Is(err, sql.ErrNoRows) {
		return namespaceNotFound()
	}
	if err != nil {
		return internal("find the namespace", err)
	}
	sp := s.newSpace(id, sl.account)
	if err := sp.open(); err != nil { //nolint:contextcheck // others wait for it too
		return internal("open the namespace", err)
	}
	sl.space = sp
	return nil
}

func (s *Service) newSpace(id, account string) *space {
	dir := filepath.Join(s.dir, id)
	return &space{
		id: id, account: account, serial: s.serial.Add(1), dir: dir, values: filepath.Join(dir, valuesFolder),
		fs: s.o.Store.FS, log: s.log, cache: s.cache, inlineSize: s.inlineSize,
	}
}

func (s *Service) release(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.refs--
	if sl.closing && sl.refs == 0 {
		close(sl.idle)
	}
}

// evict begins to close the namespace that was used longest ago when there are
// too many. The caller holds s.mu.
func (s *Service) evict() {
	for s.open > s.o.MaxOpen {
		var oldest *slot
		var id string
		for i, sl := range s.slots {
			// Whoever opens a slot uses it: without uses it is open.
			if sl.refs == 0 && !sl.closing && (oldest == nil || sl.used < oldest.used) {
				oldest, id = sl, i
			}
		}
		if oldest == nil {
			return // all are in use: the bound gives way
		}
		s.shut(id, oldest)
	}
}

// shut begins to close a slot: once its uses have ended, its database closes.
// The caller holds s.mu and the slot is not closing.
func (s *Service) shut(id string, sl *slot) {
	sl.closing = true
	s.open--
	if sl.refs == 0 {
		close(sl.idle)
	}
	s.wg.Go(func() {
		<-sl.ready
		<-sl.idle
		if sl.space != nil {
			if err := sl.space.db.Close(); err != nil {
				s.log.Error("a KV namespace could not be closed", "namespace", id, "error", err)
			}
		}
		s.mu.Lock()
		delete(s.slots, id)
		s.mu.Unlock()
		close(sl.gone)
	})
}

// Close waits for the calls under way and closes every namespace.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	for id, sl := range s.slots {
		if !sl.closing {
			s.shut(id, sl)
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}
