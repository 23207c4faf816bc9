package cache

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

const (
	// What the size of a body is rounded up to: file systems do so.
	block = 4 << 10
	// What an entry costs besides its body and fields.
	overhead = 512
	// How many folders the files are spread over.
	fileDirs = 64
	// Begins the names of folders that an earlier process has left.
	stale = "stale-"
)

// Options configures [Open]. Zero values take the defaults that are named.
type Options struct {
	MaxBytes   int64 // of all entries; 1 GiB
	MaxEntries int   // 262,144: about 200 MB of index when all are taken
	MaxObject  int64 // bytes of one body; an eighth of MaxBytes, at most 512 MiB
	// MemoryBytes bounds the copies of bodies in memory; 64 MiB, at most MaxBytes.
	MemoryBytes int64
	MemoryBody  int64 // bytes of the largest body that is copied; 1 MiB, at most an eighth of MemoryBytes
	Now         func() time.Time
	Log         *slog.Logger
}

const maxObject = 512 << 20

func (o *Options) fill() {
	setDefault(&o.MaxBytes, 1<<30)
	setDefault(&o.MaxEntries, 1<<18)
	setDefault(&o.MaxObject, min(o.MaxBytes/8, maxObject))
	setDefault(&o.MemoryBytes, min(64<<20, o.MaxBytes))
	setDefault(&o.MemoryBody, min(1<<20, o.MemoryBytes/8))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Errors of a [Writer].
var (
	// ErrTooLarge says that a body is larger than Options.MaxObject.
	ErrTooLarge = errors.New("cache: the body is too large to be cached")
	// ErrFull says that the bodies being written take all of the cache.
	ErrFull = errors.New("cache: no room for what is being cached at the moment")
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("cache: the store is closed")
)

// Store is the cache. It is safe for concurrent use.
type Store struct {
	o    Options
	fs   fsx.FS
	dir  string // of this process's files
	stop chan struct{}
	bg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	zones   map[string]*zone
	largest zones
	copies  sieve
	bytes   int64 // of all entries and of bodies being written
	entries int
	memory  int64 // of copies
	files   int   // spreads them over the folders
	stats   Stats
}

// Open makes an empty cache in dir, which belongs to it alone. What an earlier
// process left there is removed in the background.
func Open(dir string, o Options) (*Store, error) {
	o.fill()
	s := &Store{
		o: o, stop: make(chan struct{}), zones: make(map[string]*zone),
		copies: sieve{
			node: func(e *entry) *node { return &e.inMem },
			mark: func(e *entry) *bool { return &e.warm },
		},
	}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	s.dir = filepath.Join(dir, "files")
	var left []string
	for _, e := range old {
		name := e.Name()
		if name == "files" {
			name = stale + strconv.FormatInt(time.Now().UnixNano(), 36)
			if err := s.fs.Rename(s.dir, filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("cache: set the files of an earlier process aside: %w", err)
			}
		}
		if strings.HasPrefix(name, stale) {
			left = append(left, filepath.Join(dir, name))
		}
	}
	for i := range fileDirs {
		if err := os.MkdirAll(filepath.Join(s.dir, strconv.Itoa(i)), 0o700); err != nil { // not synced: nothing here has to outlive us
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	s.bg.Go(func() { s.removeStale(left) })
	return s, nil
}

// removeStale removes folders of files, one at a time, until that is done or the
// store is closed; the next Open goes on.
func (s *Store) removeStale(dirs []string) {
	for _, dir := range dirs {
		subs, err := os.ReadDir(dir)
		for _, sub := range subs {
			select {
			case <-s.stop:
				return
			default:
			}
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, sub.Name())))
		}
		if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
			s.o.Log.Warn("cannot remove cached bodies of an earlier process; they are tried again at the next start", "folder", dir, "error", err)
		}
	}
}

// Close forgets everything. Hits that are open stay readable.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.zones, s.largest, s.copies = nil, nil, sieve{}
	s.mu.Unlock()
	if !again {
		close(s.stop)
	}
	s.bg.Wait()
	return nil
}

// Now is the time by which entries expire.
func (s *Store) Now() time.Time { return s.o.Now() }

// Get finds an entry that has not expired.
func (s *Store) Get(zone string, k Key) (*Hit, bool) {
	now := s.o.Now()
	s.mu.Lock()
	e := s.find(zone, k, now)
	if e == nil {
		s.stats.Misses++
		s.mu.Unlock()
		return nil, false
	}
	s.stats.Hits++
	e.visited, e.warm = true, true
	hit := &Hit{Response: e.res, Now: now, Length: e.length, Bytes: e.copy}
	wantCopy := e.copy == nil && e.asked && e.length <= s.o.MemoryBody
	e.asked = true
	path := e.path
	s.mu.Unlock()
	if hit.Bytes != nil || hit.Length == 0 {
		return hit, true
	}
	f, err := os.Open(path) //nolint:gosec // a path of our own making
	if err != nil {
		// It was evicted a moment ago, or somebody took the file away.
		s.drop(e)
		return nil, false
	}
	hit.File = f
	if wantCopy {
		s.warmUp(e, hit)
	}
	return hit, true
}

// find returns a live entry. The caller holds s.mu; an expired entry is removed.
func (s *Store) find(name string, k Key, now time.Time) *entry {
	z := s.zones[name]
	if z == nil {
		return nil
	}
	e := z.entries[k]
	if e == nil {
		return nil
	}
	if !now.Before(e.res.Expires) {
		s.remove(e)
		s.stats.Expired++
		s.unlinkLater(e.path)
		return nil
	}
	return e
}

// warmUp keeps a copy of a body that was asked for twice.
func (s *Store) warmUp(e *entry, hit *Hit) {
	body := make([]byte, hit.Length)
	if _, err := hit.File.ReadAt(body, 0); err != nil && !errors.Is(err, io.EOF) {
		return // the caller will meet it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.zone == nil || e.copy != nil || s.closed {
		return
	}
	e.copy = body
	s.copies.add(e)
	for s.memory += e.length; s.memory > s.o.MemoryBytes; {
		s.forgetCopy(s.copies.victim())
	}
}

// forgetCopy takes an entry out of memory. The caller holds s.mu.
func (s *Store) forgetCopy(e *entry) {
	if e.copy == nil {
		return
	}
	s.copies.remove(e)
	s.memory -= e.length
	e.copy = nil
}

// Delete removes an entry and reports whether it was there to be served.
func (s *Store) Delete(zone string, k Key) bool {
	now := s.o.Now()
	s.mu.Lock()
	e := s.find(zone, k, now)
	if e != nil {
		s.remove(e)
	}
	s.mu.Unlock()
	if e == nil {
		return false
	}
	s.unlink(e.path)
	return true
}

// DeleteZone removes all entries of a zone.
func (s *Store) DeleteZone(zone string) {
	s.removeIf(zone, func(*entry) bool { return true })
}

// drop removes an entry if it is still the one in the index.
func (s *Store) drop(e *entry) {
	s.mu.Lock()
	there := e.zone != nil
	if there {
		s.remove(e)
	}
	s.mu.Unlock()
	if there {
		s.unlink(e.path)
	}
}

// remove takes an entry out of the index. The caller holds s.mu and unlinks.
func (s *Store) remove(e *entry) {
	z := e.zone
	if z == nil || s.closed {
		return
	}
	s.forgetCopy(e)
	z.list.remove(e)
	delete(z.entries, e.key)
	e.zone = nil
	z.bytes -= e.size
	s.bytes -= e.size
	s.entries--
	s.settle(z)
}

// zone returns the zone of that name, and makes it if there is none. The caller holds s.mu.
func (s *Store) zone(name string) *zone {
	z := s.zones[name]
	if z == nil {
		z = newZone(name)
		s.zones[name] = z
		heap.Push(&s.largest, z)
	}
	return z
}

// settle puts a zone whose size has changed into its place, or away. The caller holds s.mu.
func (s *Store) settle(z *zone) {
	if len(z.entries) == 0 && z.writers == 0 {
		heap.Remove(&s.largest, z.place)
		delete(s.zones, z.name)
		return
	}
	heap.Fix(&s.largest, z.place)
}

// evict makes room for the zone own and returns the files to unlink. It takes
// from the largest zone; where that consists of bodies being written only, from
// own. It returns false when there is nothing left to take from either. The caller holds s.mu.
func (s *Store) evict(own *zone) (paths []string, ok bool) {
	for s.bytes > s.o.MaxBytes || s.entries > s.o.MaxEntries {
		e := s.largest[0].list.victim()
		if e == nil {
			e = own.list.victim()
		}
		if e == nil {
			return paths, false
		}
		s.remove(e)
		s.stats.Evicted++
		paths = append(paths, e.path)
	}
	return paths, true
}

// Sweep removes what has expired, so that it takes no room until it is found.
func (s *Store) Sweep() (removed int) {
	s.mu.Lock()
	names := make([]string, 0, len(s.zones))
	for name := range s.zones {
		names = append(names, name)
	}
	s.mu.Unlock()
	now := s.o.Now()
	for _, name := range names { // the lock is let go between zones
		removed += s.removeIf(name, func(e *entry) bool { return !now.Before(e.res.Expires) })
	}
	s.mu.Lock()
	s.stats.Expired += int64(removed)
	s.mu.Unlock()
	return removed
}

// removeIf removes the entries of a zone for which cond holds.
func (s *Store) removeIf(zone string, cond func(*entry) bool) int {
	var paths []string
	s.mu.Lock()
	if z := s.zones[zone]; z != nil {
		for _, e := range z.entries {
			if cond(e) {
				s.remove(e)
				paths = append(paths, e.path)
			}
		}
	}
	s.mu.Unlock()
	s.unlink(paths...)
	return len(paths)
}

// unlinkLater removes a file without holding up whoever holds s.mu.
func (s *Store) unlinkLater(path string) {
	if s.closed {
		return
	}
	s.bg.Go(func() { s.unlink(path) })
}

func (s *Store) unlink(paths ...string) {
	for _, p := range paths {
		if err := s.fs.Remove(p); err != nil {
			s.o.Log.Warn("cannot remove a cached body; the next start does", "error", err)
		}
	}
}
