package workers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"golang.org/x/sync/singleflight"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/cron"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/tail"
)

// maxSocketPath is what a unix socket's address can hold (sun_path, less the final zero).
const maxSocketPath = 107

// Service owns the scripts of a platform. It is safe for concurrent use.
type Service struct {
	o     Options
	log   *slog.Logger
	hosts *hostCache
	zones zoneIndex
	locks keyedMutex
	files *assets.Cache // small assets of all versions

	count       counters
	idle        atomic.Int64 // a time.Duration
	idleChanged chan struct{}

	closed  atomic.Bool
	closing chan struct{} // closed when Close begins
	kill    chan struct{} // closed when Close stops waiting for requests
	slots   chan struct{} // one for each process
	starts  chan struct{} // one for each process that is starting
	// launched wakes the guard, which sleeps while nothing runs.
	launched chan struct{}
	wg       sync.WaitGroup

	crons *cron.Scheduler[scheduleKey]

	services serviceTable
	load     singleflight.Group // units by version
	sessions sessionCache
	leases   leases
	alarms   alarmClock
	removing sync.Mutex // one removal of objects' data at a time
	// assetSweep lets Sweep decide that an asset is unused with no upload
	// coming to rely on it in between. A session that begins holds it for reading.
	assetSweep sync.RWMutex

	mu      sync.Mutex
	units   map[string]weak.Pointer[unit] // by version
	running map[*Instance]struct{}
	watched map[scope]bool // the scripts that somebody watches
}

// New opens the service. It reads no script; it removes what processes of an
// earlier run left in RunDir, which it makes. End it with [Service.Close].
func New(o Options) (*Service, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := clearRunDir(o.RunDir); err != nil {
		return nil, fmt.Errorf("workers: clear run folder %s: %w", o.RunDir, err)
	}
	s := &Service{
		o:     o,
		log:   o.Log,
		hosts: newHostCache(o.MaxHosts),
		files: assets.NewCache(assets.DefaultCacheBytes),

		idleChanged: make(chan struct{}, 1),

		closing:  make(chan struct{}),
		kill:     make(chan struct{}),
		slots:    make(chan struct{}, o.MaxProcesses),
		starts:   make(chan struct{}, o.MaxStarts),
		launched: make(chan struct{}, 1),
		units:    make(map[string]weak.Pointer[unit]),
		running:  make(map[*Instance]struct{}),
		watched:  make(map[scope]bool),
	}
	if err := s.zones.load(context.Background(), s); err != nil {
		return nil, fmt.Errorf("workers: read the zones: %w", err)
	}
	s.crons = cron.NewScheduler(s.fire)
	if err := s.planAll(context.Background()); err != nil {
		return nil, err
	}
	s.services.init()
	s.idle.Store(int64(o.IdleTimeout))
	s.wg.Go(s.janitor)
	s.wg.Go(s.guard)
	if o.WorkerProcesses > 1 {
		s.wg.Go(s.scaler)
	}
	s.wg.Go(s.runSchedules)
	s.wg.Go(s.findAlarms)
	s.removeLater()
	return s, nil
}

// Close starts nothing any more, lets requests in flight finish until ctx ends,
// and stops every process. It returns ctx's cause when it had to cut requests off.
func (s *Service) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		s.wg.Wait()
		return nil
	}
	close(s.closing)
	s.alarms.close()
	s.mu.Lock() // running and the wait group change together under it
	for in := range s.running {
		in.close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		close(s.kill)
		<-done // each process has StopTimeout, then it is killed
		return fmt.Errorf("workers: requests were still in flight: %w", context.Cause(ctx))
	}
}

func (o *Options) setDefaults() {
	setDefault(&o.IdleTimeout, 10*time.Minute)
	setDefault(&o.DrainTimeout, 5*time.Minute)
	setDefault(&o.StopTimeout, 5*time.Second)
	setDefault(&o.HandoverTimeout, 10*time.Second)
	setDefault(&o.StartTimeout, 30*time.Second)
	setDefault(&o.ScheduledTimeout, 15*time.Minute)
	setDefault(&o.MaxProcesses, 200)
	setDefault(&o.WorkerProcesses, runtime.NumCPU())
	setDefault(&o.ScalePeriod, 500*time.Millisecond)
	setDefault(&o.MaxStarts, max(2, runtime.NumCPU()))
	setDefault(&o.MaxHosts, 8192)
	setDefault(&o.MaxScriptSize, 64<<20)
	setDefault(&o.MaxSourceMaps, 128<<20)
	setDefault(&o.MaxModules, 1000)
	setDefault(&o.MaxBindings, 1000)
	setDefault(&o.MaxBindingSize, 1<<20)
	setDefault(&o.CPULimit, 30*time.Second)
	setDefault(&o.MemoryLimit, 128<<20)
	setDefault(&o.SubrequestsLimit, 10_000)
	setDefault(&o.MaxAssets, 100_000)
	setDefault(&o.MaxAssetSize, 25<<20)
	setDefault(&o.SessionLifetime, time.Hour)
	setDefault(&o.RetryWindow, 10*time.Minute)
	setDefault(&o.BlobGrace, 24*time.Hour)
	// A blob must outlive the session during which it is uploaded.
	o.BlobGrace = max(o.BlobGrace, 2*o.SessionLifetime)
	if o.Tails == nil {
		o.Tails = tail.New(tail.Options{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Files == nil && o.Store != nil {
		o.Files = plainFiles{o.Store.Blobs}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) check() error {
	switch {
	case o.Store == nil, o.Runtime == nil, o.Doors == nil:
		return errors.New("workers: options Store, Runtime and Doors are needed")
	case o.AccountBySubdomain == nil, o.Subdomain == nil, o.IssueTicket == nil, o.VerifyTicket == nil:
		return errors.New("workers: options AccountBySubdomain, Subdomain, IssueTicket and VerifyTicket are needed")
	case o.RunDir == "" || o.Domain == "":
		return errors.New("workers: options RunDir and Domain are needed")
	}
	dir, err := filepath.Abs(o.RunDir)
	if err != nil {
		return fmt.Errorf("workers: run folder %s: %w", o.RunDir, err)
	}
	o.RunDir = dir
	if o.ObjectsDir == "" {
		o.ObjectsDir = filepath.Join(o.Store.Dir, "objects")
	}
	if o.ObjectsDir, err = filepath.Abs(o.ObjectsDir); err != nil {
		return fmt.Errorf("workers: folder of Durable Objects: %w", err)
	}
	if n := len(filepath.Join(dir, runName(), "control-sockets.sock")); n > maxSocketPath {
		return fmt.Errorf("workers: run folder %s: its path is %d bytes too long for unix sockets; choose a shorter one", dir, n-maxSocketPath)
	}
	return nil
}

// clearRunDir makes the folder and removes what is in it: the data directory's
// lock says that no process of ours that could use it is alive.
func clearRunDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	_ = f.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if isRunName(name) { // whatever else lies there is not ours
			if err := root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyedMutex has one lock for each script that a change is being made to.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[scope]*keyedLock
}

type keyedLock struct {
	held    chan struct{} // capacity 1: full while locked
	waiting int
}

// lock waits for the script's turn, or for the end of ctx.
func (k *keyedMutex) lock(ctx context.Context, sc scope) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = make(map[scope]*keyedLock)
	}
	l := k.locks[sc]
	if l == nil {
		l = &keyedLock{held: make(chan struct{}, 1)}
		k.locks[sc] = l
	}
	l.waiting++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		if l.waiting--; l.waiting == 0 {
			delete(k.locks, sc)
		}
		k.mu.Unlock()
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// PutModule stores the content of a module or source map and returns the id and
// size to put into [UploadModule]. The error is CodeTooLarge when it has more
// bytes than the larger of Options.MaxScriptSize and MaxSourceMaps, which an
// upload must keep to as a whole.
func (s *Service) PutModule(ctx context.Context, r io.Reader) (blob string, size int64, err error) {
	limit := max(s.o.MaxScriptSize, s.o.MaxSourceMaps)
	blob, size, err = s.o.Store.Blobs.Put(ctx, r, limit)
	if errors.Is(err, store.ErrTooLarge) {
		return "", 0, &Error{Code: CodeTooLarge, Status: 413, Message: fmt.Sprintf("A part of the script is larger than %d bytes, the bound for all of them together.", limit), Err: err}
	}
	if err != nil {
		return "", 0, internal("store a module", err)
	}
	return blob, size, nil
}

// OpenModule opens the content of a module of a version. The caller closes it.
func (s *Service) OpenModule(m Module) (*os.File, error) {
	f, err := s.o.Store.Blobs.Open(m.Blob)
	if err != nil {
		return nil, internal("read the module "+m.Name, err)
	}
	return f, nil
}

// plainFiles serves blobs as they are.
type plainFiles struct{ blobs *store.Blobs }

func (f plainFiles) Open(blob string) (*os.File, error) { return f.blobs.Open(blob) }

func (plainFiles) Variant(context.Context, string, string) (id string, size int64, ok bool) {
	return "", 0, false
}
