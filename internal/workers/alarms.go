package workers

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

const (
	// How long before an alarm, alarmLead, its host is started.
	alarmLead = 2 * time.Second
	// How near, alarmGuard, an alarm may be for its host not to be stopped as
	// idle: to start it again would cost more.
	alarmGuard = 30 * time.Second
	// How long, alarmRetry, after a failed start the next one comes.
	alarmRetry = 30 * time.Second
	// The bound, alarmDrop, on how long an alarm that is due keeps a host from being
	// stopped as idle: it may be one that fails for ever.
	alarmDrop = 10 * time.Minute
)

// alarmClock starts hosts of Durable Objects in time for their alarms: a process
// that does not run keeps no time. The zero value has no timers.
type alarmClock struct {
	mu     sync.Mutex
	timers map[scope]*time.Timer
	closed bool
}

// set makes the clock call ring at a time, or never for the zero time.
func (c *alarmClock) set(sc scope, at time.Time, ring func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.timers[sc]; t != nil {
		t.Stop()
		delete(c.timers, sc)
	}
	if at.IsZero() || c.closed {
		return
	}
	if c.timers == nil {
		c.timers = make(map[scope]*time.Timer)
	}
	c.timers[sc] = time.AfterFunc(time.Until(at), ring)
}

func (c *alarmClock) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, t := range c.timers {
		t.Stop()
	}
	c.timers = nil
}

// watchAlarms starts the script's host in time for its next alarm.
func (s *Service) watchAlarms(sc scope, at time.Time) {
	if !at.IsZero() {
		at = at.Add(-alarmLead)
	}
	s.alarms.set(sc, at, func() { s.ringAlarm(sc) })
}

// ringAlarm starts the host of a script. The runtime does the rest: it knows
// all alarms as soon as it runs.
func (s *Service) ringAlarm(sc scope) {
	s.mu.Lock()
	closed := s.closed.Load()
	if !closed {
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if closed {
		return
	}
	defer s.wg.Done()
	ctx, cancel := context.WithTimeout(context.Background(), s.o.StartTimeout+s.handoverBound())
	defer cancel()
	err := s.wake(ctx, sc)
	switch {
	case err == nil, errors.Is(err, ErrClosed), errors.Is(err, ErrNoRoute), isNotFound(err):
		return
	}
	s.log.Warn("the host of Durable Objects did not start for an alarm", "script", sc.script, "error", err)
	s.watchAlarms(sc, time.Now().Add(alarmRetry))
}

// wake starts the process of the script's live version.
func (s *Service) wake(ctx context.Context, sc scope) error {
	row, err := s.script(ctx, sc)
	if err != nil {
		return err
	}
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil || live == nil {
		return err
	}
	u, err := s.unitOf(ctx, live.doc.serves())
	if err != nil {
		return err
	}
	in, err := u.acquire(ctx, true)
	if err != nil {
		return err
	}
	in.Release()
	return nil
}

// findAlarms sets the clock for every script, once at the start.
func (s *Service) findAlarms() {
	ctx, cancel := s.untilClosing()
	defer cancel()
	rows, err := scanNamespaces(s.db().QueryContext(ctx, `SELECT `+namespaceColumns+` FROM object_namespaces n JOIN scripts s ON s.id = n.script_id ORDER BY n.script_id`))
	if err != nil {
		s.log.Error("the alarms of Durable Objects are not known", "error", err)
		return
	}
	accounts := make(map[string]string)
	next := make(map[scope]time.Time)
	for i := range rows {
		n := &rows[i]
		if accounts[n.scriptID] == "" {
			var account string
			if err := s.db().QueryRowContext(ctx, `SELECT account_id FROM scripts WHERE id = ?`, n.scriptID).Scan(&account); err != nil {
				continue // deleted meanwhile
			}
			accounts[n.scriptID] = account
		}
		sc := scope{accounts[n.scriptID], n.Script}
		at, err := nextAlarm(ctx, filepath.Join(s.o.ObjectsDir, n.folder, n.ID))
		if err != nil {
			s.log.Error("the alarms of a Durable Object namespace cannot be read", "script", n.Script, "class", n.Class, "error", err)
			continue
		}
		next[sc] = earlier(next[sc], at)
	}
	for sc, at := range next {
		if !at.IsZero() {
			s.watchAlarms(sc, at)
		}
	}
}

// untilClosing returns a context that ends when the service begins to close.
func (s *Service) untilClosing() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan struct{})
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-stop:
		}
	}()
	return ctx, sync.OnceFunc(func() { close(stop); cancel() })
}

// nextAlarm returns when the next alarm of the objects of a claim is due, the
// zero time when there is none. An error is logged and is none either.
func (c *objectClaim) nextAlarm(ctx context.Context) time.Time {
	var next time.Time
	for i := range c.namespaces {
		at, err := nextAlarm(ctx, filepath.Join(c.storage, c.namespaces[i].ID))
		if err != nil {
			c.s.log.ErrorContext(ctx, "the alarms of a Durable Object namespace cannot be read", "script", c.scope.script, "class", c.namespaces[i].Class, "error", err)
			continue
		}
		next = earlier(next, at)
	}
	return next
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// nextAlarm reads the alarms that the runtime keeps in the folder of a namespace
// (workerd 1.20261117: table _cf_ALARM, nanoseconds since the epoch).
func nextAlarm(ctx context.Context, folder string) (time.Time, error) {
	path := filepath.Join(folder, "metadata.sqlite")
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return time.Time{}, nil
		}
		return time.Time{}, err
	}
	db, err := sqlite.OpenReadOnly(path)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = db.Close() }()
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_cf_ALARM'`).Scan(&tables); err != nil || tables == 0 {
		return time.Time{}, err
	}
	var at sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT min(scheduled_time) FROM _cf_ALARM`).Scan(&at); err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.Unix(0, at.Int64), nil
}

// mayIdle reports whether a host without requests may be stopped now: not while
// an alarm runs or is near.
func (c *objectClaim) mayIdle(ctx context.Context, now time.Time) bool {
	at := c.nextAlarm(ctx)
	return at.IsZero() || at.Sub(now) > alarmGuard || now.Sub(at) > alarmDrop
}
