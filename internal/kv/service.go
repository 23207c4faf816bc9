package kv

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/store"
)

// Options configures [New]; zero fields take the defaults that are named.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// MaxOpen is how many namespaces are open at a time while nobody uses more; 64.
	MaxOpen int
	// CacheBytes bounds the memory of what is read often; 32 MiB.
	CacheBytes int64
}

// Service owns the KV namespaces. It is safe for concurrent use.
type Service struct {
	o       Options
	log     *slog.Logger
	dir     string
	cache   *cache
	cursors cursors
	serial  atomic.Uint64

	inlineSize int64 // InlineSize, but in a benchmark

	mu     sync.Mutex
	closed bool
	slots  map[string]*slot // by namespace
	open   int              // slots that are not closing
	clock  uint64           // orders the uses
	wg     sync.WaitGroup   // spaces that are closing
}

// New opens the service. It reads no namespace: its cost does not grow with
// them. End it with [Service.Close].
func New(o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = 64
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	s := &Service{
		o: o, log: o.Log, dir: filepath.Join(o.Store.Dir, "kv"),
		cache:   newCache(o.CacheBytes),
		cursors: cursors{key: o.Store.Keys.MAC("kv cursors", nil)},
		slots:   make(map[string]*slot),

		inlineSize: InlineSize,
	}
	if err := o.Store.FS.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s, nil
}

// Entry is the value of a key. When File is not nil it holds the value and the
// caller closes it; else Value does, which is shared and must not be changed.
type Entry struct {
	Value    []byte
	File     *os.File
	Size     int64
	Metadata []byte // JSON; nil: none
	Expires  int64  // unix seconds; 0: never
}

// Get returns the value of a key; ok is false when there is none.
func (s *Service) Get(ctx context.Context, account, namespace, key string) (e Entry, ok bool, err error) {
	if err := CheckKey(key); err != nil {
		return Entry{}, false, err
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return Entry{}, false, err
	}
	defer release()
	return s.get(sp, key) //nolint:contextcheck // see space.find
}

func (s *Service) get(sp *space, key string) (Entry, bool, error) {
	// A value's file goes when its row is replaced. Whoever read the old row in
	// between finds no file, and looks again.
	const attempts = 100
	for range attempts {
		r, err := sp.find(key)
		if err != nil {
			return Entry{}, false, internal("read the key", err)
		}
		if r == nil || r.expired(s.o.Now().Unix()) {
			return Entry{}, false, nil
		}
		e := Entry{Value: r.value, Size: r.size, Metadata: r.metadata, Expires: r.expires}
		if r.file == "" {
			return e, true, nil
		}
		e.File, err = sp.openFile(r.file)
		switch {
		case err == nil:
			return e, true, nil
		case !errors.Is(err, fs.ErrNotExist):
			return Entry{}, false, internal("read the value", err)
		}
		sp.cache.forget(cacheKey{sp.serial, key})
	}
	return Entry{}, false, internal("read the value", errors.New("kv: a row names a file that is not there"))
}

// Metadata returns the metadata of a key without its value.
func (s *Service) Metadata(ctx context.Context, account, namespace, key string) (metadata []byte, ok bool, err error) {
	if err := CheckKey(key); err != nil {
		return nil, false, err
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return nil, false, err
	}
	defer release()
	r, err := sp.find(key) //nolint:contextcheck // see space.find
	if err != nil {
		return nil, false, internal("read the key", err)
	}
	if r == nil || r.expired(s.o.Now().Unix()) {
		return nil, false, nil
	}
	return r.metadata, true, nil
}

// Pair is a key with what to store under it.
type Pair struct {
	Key      string
	Value    *Value // of Stage, for this namespace
	Metadata []byte // JSON; nil: none
	Expires  int64  // unix seconds, see ParseExpiration; 0: never
}

// Check says what is wrong with all of a pair but its value.
func (p *Pair) Check() error {
	if err := CheckKey(p.Key); err != nil {
		return err
	}
	_, err := checkMetadata(p.Metadata)
	return err
}

// Put stores pairs in one transaction: all of them or, after an error, none. Of
// pairs with the same key the last one counts. The values are used up in both
// cases.
func (s *Service) Put(ctx context.Context, account, namespace string, pairs ...Pair) error {
	defer func() {
		for i := range pairs {
			pairs[i].Value.Discard()
		}
	}()
	rows := make([]pair, len(pairs))
	for i := range pairs {
		p := &pairs[i]
		if err := CheckKey(p.Key); err != nil {
			return err
		}
		metadata, err := checkMetadata(p.Metadata)
		if err != nil {
			return err
		}
		rows[i] = pair{key: p.Key, value: p.Value, metadata: metadata, expires: p.Expires}
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return err
	}
	defer release()
	for i := range rows {
		if rows[i].value.space.id != sp.id { // its file, if it has one, is elsewhere
			return internal("store the value", errors.New("kv: a value that was staged for another namespace"))
		}
	}
	if err := sp.put(ctx, rows); err != nil {
		return internal("store the value", err)
	}
	return nil
}

// Delete removes keys, in one transaction. That one is not there is no error.
func (s *Service) Delete(ctx context.Context, account, namespace string, keys ...string) error {
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return err
	}
	defer release()
	if _, err := sp.remove(ctx, keys, 0); err != nil {
		return internal("delete the key", err)
	}
	return nil
}
