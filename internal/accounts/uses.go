package accounts

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"
)

// useInterval is how often uses are written: at most once for each token.
const useInterval = time.Minute

// useRecorder remembers when tokens were used and writes it in the background.
type useRecorder struct {
	write func(map[string]time.Time) error

	mu      sync.Mutex
	pending map[string]time.Time // by token id

	quit     chan struct{}
	quitOnce sync.Once
	finished chan struct{}
	err      error // of the last write; read after finished
}

func startUseRecorder(write func(map[string]time.Time) error) *useRecorder {
	u := &useRecorder{
		write:    write,
		pending:  map[string]time.Time{},
		quit:     make(chan struct{}),
		finished: make(chan struct{}),
	}
	go u.run()
	return u
}

// note never waits for the disk.
func (u *useRecorder) note(id string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pending[id] = now
}

// last returns a use that is not written yet.
func (u *useRecorder) last(id string) (time.Time, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.pending[id]
	return at, ok
}

// stop writes what is left and returns that write's error.
func (u *useRecorder) stop() error {
	u.quitOnce.Do(func() { close(u.quit) })
	<-u.finished
	return u.err
}

func (u *useRecorder) run() {
	defer close(u.finished)
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u.flush()
		case <-u.quit:
			u.flush()
			return
		}
	}
}

func (u *useRecorder) flush() {
	u.mu.Lock()
	uses := u.pending
	u.pending = map[string]time.Time{}
	u.mu.Unlock()
	u.err = nil
	if len(uses) > 0 {
		u.err = u.write(uses)
	}
}

// writeUses is the recorder's write. A failure loses a convenience, so it is
// logged and the uses are not kept.
func (s *Service) writeUses(uses map[string]time.Time) error {
	ctx := context.Background()
	err := s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		for id, at := range uses {
			if _, err := tx.ExecContext(ctx, "UPDATE tokens SET last_used_at = ? WHERE id = ?", at.UnixMilli(), id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.WarnContext(ctx, "cannot record when tokens were last used", "error", err)
		return fmt.Errorf("accounts: record when tokens were last used: %w", err)
	}
	return nil
}
