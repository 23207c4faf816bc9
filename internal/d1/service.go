package d1

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
	"github.com/selvage-dev/selvage/internal/store"
)

// folder holds the databases, one folder each, below the data directory.
const folder = "d1"

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	Store  *store.Store
	Log    *slog.Logger
	Limits native.Limits // of statements

	Readers      int // reading connections of an open database; 4
	MaxOpen      int // databases that stay open without being used; 64
	MaxDatabases int // of an account; 50,000
	MaxQueries   int // of one request of a worker; 1,000
	// MaxSize bounds one database, in bytes; 10 GB.
	MaxSize int64

	// OnLoop is told of requests that run a statement again and again, on their way: it
	// must not block. Nil tells nobody.
	OnLoop func(Loop)

	// TimeTravel is for how long every state of a database can be restored; 30 days.
	// Below 0 no history is kept, and what there is goes when the database is opened.
	TimeTravel time.Duration

	checkpointFrames int // see historian.go; tests set it
}

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TimeTravel == 0 {
		o.TimeTravel = 30 * 24 * time.Hour
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Readers, 4}, {&o.MaxOpen, 64}, {&o.MaxDatabases, 50_000}, {&o.MaxQueries, 1000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.MaxSize == 0 {
		o.MaxSize = 10_000_000_000
	}
}

// Service owns all databases. It is safe for concurrent use.
type Service struct {
	o   Options
	dir string

	mu     sync.Mutex
	closed bool
	open   map[uuid.UUID]*handle
	idle   list.List // handles that nobody uses, the one used last in front
	users  sync.WaitGroup
	// imports holds the last import into each database, for those who ask how it went.
	imports map[uuid.UUID]*importRun
	merges  chan struct{} // see history.Options.Work

	observer *observer
}

// handle is a database that is open or opening.
type handle struct {
	id    uuid.UUID
	ready chan struct{} // closed when db or err is set
	db    *Database
	err   error
	uses  int           // under Service.mu, like the fields below
	spot  *list.Element // in Service.idle
	gone  bool          // deleted: closed by the last who uses it
}

// New returns the service. It opens no database. A build that cannot serve them
// (see native.Check) says so now and in the error of every Open.
func New(o Options) (*Service, error) {
	o.setDefaults()
	if err := native.Check(); err != nil {
		o.Log.Warn("databases cannot be opened", "error", err)
	}
	s := &Service{o: o, dir: filepath.Join(o.Store.Dir, folder), open: make(map[uuid.UUID]*handle), imports: make(map[uuid.UUID]*importRun), merges: make(chan struct{}, 1), observer: newObserver(o.OnLoop)}
	if err := o.Store.FS.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("d1: folder of the databases: %w", err)
	}
	temp := filepath.Join(s.dir, "tmp")
	if err := o.Store.FS.MkdirAll(temp, 0o700); err != nil {
		return nil, fmt.Errorf("d1: folder for what queries put aside: %w", err)
	}
	native.SetTempDir(temp)
	if err := s.removeOrphans(context.Background()); err != nil {
		return nil, err
	}
	go s.observe()
	return s, nil
}

// Close waits for those who use databases and closes them.
func (s *Service) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.users.Wait()
	var errs []error
	if first {
		errs = append(errs, s.stopObserving())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.open {
		delete(s.open, id)
		if h.db != nil {
			errs = append(errs, h.db.close())
		}
	}
	s.idle.Init()
	return errors.Join(errs...)
}

// Open returns the database, opening it if need be. Who asks meanwhile waits for
// the same opening. The caller Releases it.
func (s *Service) Open(ctx context.Context, id string) (*Database, error) {
	key, err := parseID(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	h := s.open[key]
	if h == nil {
		h = &handle{id: key, ready: make(chan struct{})}
		s.open[key] = h
		go s.openHandle(context.WithoutCancel(ctx), h)
	}
	h.uses++
	s.users.Add(1)
	if h.spot != nil {
		s.idle.Remove(h.spot)
		h.spot = nil
	}
	s.mu.Unlock()
	select {
	case <-h.ready:
	case <-ctx.Done():
		s.unuse(h)
		return nil, fmt.Errorf("d1: open a database: %w", context.Cause(ctx))
	}
	if h.err != nil {
		s.unuse(h)
		return nil, h.err
	}
	return h.db, nil
}

func (s *Service) openHandle(ctx context.Context, h *handle) {
	defer close(h.ready)
	db, err := s.openNow(ctx, h.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		h.err = err
		if s.open[h.id] == h {
			delete(s.open, h.id)
		}
		return
	}
	db.release = func() { s.unuse(h) }
	h.db = db
}

func (s *Service) openNow(ctx context.Context, id uuid.UUID) (*Database, error) {
	o := openOptions{
		dir: s.folderOf(id), id: id, readers: s.o.Readers, limits: s.o.Limits, fs: s.o.Store.FS, log: s.o.Log,
		retention: s.o.TimeTravel, merges: s.merges, checkpointFrames: s.o.checkpointFrames, observer: s.observer, maxQueries: s.o.MaxQueries, maxSize: s.o.MaxSize,
	}
	if err := s.dropHistory(&o); err != nil {
		return nil, err
	}
	if err := s.noteOpening(ctx, id, &o); err != nil {
		return nil, err
	}
	return openDatabase(o)
}

// unuse ends one use. The last one leaves the database open for the next, within
// the bound.
func (s *Service) unuse(h *handle) {
	s.mu.Lock()
	h.uses--
	var victim *handle
	switch {
	case h.uses > 0 || h.err != nil:
	case h.gone:
		victim = h
	case s.open[h.id] == h:
		h.spot = s.idle.PushFront(h)
		if s.idle.Len() > s.o.MaxOpen {
			victim, _ = s.idle.Remove(s.idle.Back()).(*handle)
			victim.spot = nil
			delete(s.open, victim.id)
		}
	}
	s.mu.Unlock()
	if victim != nil {
		<-victim.ready
		s.closeHandle(victim)
	}
	s.users.Done()
}

func (s *Service) closeHandle(h *handle) {
	if h.db == nil {
		return
	}
	if err := h.db.close(); err != nil {
		s.o.Log.Error("a database did not close", "database", h.id, "error", err)
	}
	if h.gone {
		s.removeFolder(h.id)
	}
}

func (s *Service) folderOf(id uuid.UUID) string { return filepath.Join(s.dir, id.String()) }

func (s *Service) removeFolder(id uuid.UUID) {
	if err := os.RemoveAll(s.folderOf(id)); err != nil {
		s.o.Log.Error("the folder of a deleted database was not removed", "database", id, "error", err)
	}
}

func parseID(id string) (uuid.UUID, error) {
	key, err := uuid.Parse(id)
	if err != nil {
		return uuid.UUID{}, notFound(id)
	}
	return key, nil
}

func fileExists(path string) (bool, error) {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("d1: %w", err)
}
