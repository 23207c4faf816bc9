package registry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/store"
)

// folder holds uploads that are not finished, below the data directory.
const folder = "registry/uploads"

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	Store  *store.Store
	Log    *slog.Logger
	Now    func() time.Time // time.Now
	Limits Limits
	// InUse calls use with every manifest that something runs or would run, so that
	// Collect keeps it. Nil: nothing is.
	InUse func(ctx context.Context, use func(repo Repo, manifest Digest)) error
}

// Limits bound what is stored.
type Limits struct {
	Blob     int64         // bytes of one blob; 10 GiB
	Manifest int64         // bytes of one manifest; 4 MiB
	Uploads  int           // of an account at one time; 64
	Idle     time.Duration // an upload that nobody continues is dropped; 24 h
	// Young is how long a blob that no manifest names is kept, and YoungManifest how
	// long a manifest without a tag is: a push sends what is named first. 24 h and 1 h.
	Young, YoungManifest time.Duration
}

func (l *Limits) setDefaults() {
	if l.Blob == 0 {
		l.Blob = 10 << 30
	}
	if l.Manifest == 0 {
		l.Manifest = 4 << 20
	}
	if l.Uploads == 0 {
		l.Uploads = 64
	}
	if l.Idle == 0 {
		l.Idle = 24 * time.Hour
	}
	if l.Young == 0 {
		l.Young = 24 * time.Hour
	}
	if l.YoungManifest == 0 {
		l.YoungManifest = time.Hour
	}
}

// Service owns all repositories. It is safe for concurrent use.
type Service struct {
	o   Options
	dir string

	mu      sync.Mutex
	closed  bool
	uploads map[uuid.UUID]*upload
}

// New returns the service. Uploads that were begun before the platform stopped go
// on where they were.
func New(o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits.setDefaults()
	s := &Service{o: o, dir: filepath.Join(o.Store.Dir, folder), uploads: make(map[uuid.UUID]*upload)}
	if err := o.Store.FS.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("registry: folder of the uploads: %w", err)
	}
	return s, s.findUploads()
}

// Limits returns the limits in force.
func (s *Service) Limits() Limits { return s.o.Limits }

// Close ends uploads in flight; they can be continued when the service is back.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	all := make([]*upload, 0, len(s.uploads))
	for _, u := range s.uploads {
		all = append(all, u)
	}
	s.mu.Unlock()
	for _, u := range all {
		u.mu.Lock()
		u.gone = true
		u.mu.Unlock()
	}
	return nil
}

// OpenBlob opens a blob for reading and returns its size in bytes; the caller
// closes it.
func (s *Service) OpenBlob(ctx context.Context, repo Repo, d Digest) (*os.File, int64, error) {
	size, err := s.StatBlob(ctx, repo, d)
	if err != nil {
		return nil, 0, err
	}
	f, err := s.o.Store.Blobs.Open(string(d))
	if err != nil {
		return nil, 0, fmt.Errorf("registry: a blob that %s has: %w", repo.Name, err)
	}
	return f, size, nil
}
