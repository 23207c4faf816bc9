package vectorize

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

const (
	// How long work that failed in the background waits to be tried again.
	retryAfter = time.Second
	// When no segment has come for so long, those without a graph get one.
	tidyAfter = 10 * time.Second
)

// keeper makes segments of memory, and larger segments of small ones, in the
// background.
type keeper struct {
	x      *Index
	ctx    context.Context //nolint:containedctx // of the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup
	frozen chan struct{} // one waits: there is frozen memory
	merge  chan struct{} // one waits: there is a new segment
	// done gets a value when frozen memory has become a segment.
	done chan struct{}
	// trouble is set while frozen memory cannot become a segment.
	trouble atomic.Pointer[error]
	// calm is what merging asks for: no segment has come for a while.
	calm    atomic.Bool
	flushed chan struct{} // one waits: a segment has come
}

func newKeeper(x *Index) *keeper {
	k := &keeper{x: x, frozen: make(chan struct{}, 1), merge: make(chan struct{}, 1), done: make(chan struct{}, 1), flushed: make(chan struct{}, 1)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *keeper) start() {
	k.wg.Go(func() { k.loop(k.frozen, "make a segment of memory", k.flush) })
	k.wg.Go(func() { k.loop(k.merge, "merge segments", k.mergeAll) })
	k.wg.Go(k.tidy)
	wake(k.merge) // an earlier process may have left some
}

func (k *keeper) stop() {
	k.cancel()
	k.wg.Wait()
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tidy has segments merged that are not enough for a merge, once they wait for others
// in vain.
func (k *keeper) tidy() {
	wait := time.NewTimer(tidyAfter)
	defer wait.Stop()
	for {
		select {
		case <-k.flushed:
			k.calm.Store(false)
			wait.Reset(tidyAfter)
		case <-wait.C:
			k.calm.Store(true)
			wake(k.merge)
		case <-k.ctx.Done():
			return
		}
	}
}

// loop does work each time it is woken, again after a while when it fails.
func (k *keeper) loop(woken chan struct{}, name string, work func() error) {
	for {
		select {
		case <-woken:
		case <-k.ctx.Done():
			return
		}
		err := work()
		if err == nil || k.ctx.Err() != nil {
			continue
		}
		k.x.lg.Error("work in the background failed; it is tried again", "work", name, "index", k.x.name, "error", err)
		select {
		case <-time.After(retryAfter):
			wake(woken)
		case <-k.ctx.Done():
		}
	}
}

// freeze begins a new log and a new memory; what was in memory becomes a segment in
// the background. It is the writer's.
func (w *writer) freeze() {
	x := w.x
	for x.freezing() { // only this goroutine begins it
		const most = 4 // times of what makes a segment
		if x.flush.times(most).reached(x.mem) && x.keeper.trouble.Load() == nil {
			select {
			case <-x.keeper.done:
				continue
			case <-w.quit:
			}
		}
		return
	}
	if err := w.rotate(); err != nil {
		x.lg.Error("a new log could not be begun; the old one is used on", "index", x.name, "error", err)
		return
	}
	wake(x.keeper.frozen)
}

// freezing reports whether memory is becoming a segment.
func (x *Index) freezing() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.frozen != nil
}

func (w *writer) rotate() error {
	x := w.x
	x.manMu.Lock()
	defer x.manMu.Unlock()
	m := x.man
	m.Logs = slices.Clone(m.Logs)
	id := m.NextFile
	path := filepath.Join(x.dir, logName(id))
	fresh, err := newMemory(&x.Config)
	if err != nil {
		return err
	}
	if err := createLog(x.fs, path, x.id); err != nil {
		return err
	}
	file, err := x.fs.OpenAppend(path)
	if err != nil {
		return err
	}
	m.Logs[len(m.Logs)-1].Sealed = w.log.file.Size()
	m.Logs = append(m.Logs, logRef{ID: id, First: w.log.number, Sealed: logHead})
	m.NextFile++
	if err := m.write(x.fs, x.dir); err != nil {
		_ = file.Close()
		return err
	}
	x.man = m
	old := w.log
	w.log = &log{file: file, path: path, number: old.number}
	x.mu.Lock()
	x.frozen, x.mem = x.mem, fresh
	x.frozenAt = checkpoint{seq: x.seq, mutation: x.mutation, time: x.time, meta: x.meta, log: id}
	x.mu.Unlock()
	return old.close()
}

// persistedDead is what is on disk of a segment's dead rows.
type persistedDead struct {
	file uint64
	rows *ann.Bitmap
}

// begin returns the number of a new segment, whose files stay until made is called.
func (x *Index) begin() uint64 {
	x.manMu.Lock()
	defer x.manMu.Unlock()
	id := x.man.NextFile
	x.man.NextFile++
	x.making[id] = true
	return id
}

// made ends what begin began: the manifest names the segment now, or never will.
func (x *Index) made(s *segment) {
	if s != nil {
		x.manMu.Lock()
		defer x.manMu.Unlock()
		delete(x.making, s.id)
	}
}

// save writes what the segments are to disk, then removes the files that this
// leaves without a name.
//
// The dead rows may be newer than the last mutation that the segments have whole:
// what killed them is in the logs, and replaying it decides anew what is under that
// id, so that the outcome is the same.
func (x *Index) save() error {
	x.manMu.Lock()
	defer x.manMu.Unlock()
	x.mu.RLock()
	segs, at := slices.Clone(x.segs), x.flushed
	x.mu.RUnlock()
	m := x.man
	m.Seq, m.Mutation, m.Time, m.Metadata = at.seq, at.mutation, at.time, at.meta
	m.Logs = slices.DeleteFunc(slices.Clone(m.Logs), func(l logRef) bool { return l.ID < at.log })
	m.Segments = make([]segmentRef, len(segs))
	persisted := make(map[uint64]persistedDead)
	for i := range segs {
		p := &segs[i]
		m.Segments[i] = segmentRef{ID: p.id, Rows: p.docs.t.Rows}
		if p.dead == nil {
			continue
		}
		d := x.persisted[p.id]
		if d.rows != p.dead {
			d = persistedDead{m.NextFile, p.dead}
			m.NextFile++
			x.man.NextFile = m.NextFile // also when this fails: the file may be there
			if err := writeDead(x.fs, x.dir, d.file, p.dead); err != nil {
				return err
			}
		}
		persisted[p.id] = d
		m.Segments[i].Dead = d.file
	}
	if err := m.write(x.fs, x.dir); err != nil {
		return err
	}
	x.man, x.persisted = m, maps.Clone(persisted)
	if err := removeStrays(x.fs, x.dir, &m, x.making); err != nil {
		x.lg.Warn("files without use stay until the index is opened again", "index", x.name, "error", err)
	}
	return nil
}

// removeStrays removes files that the manifest does not name and nobody is making:
// leavings of work that was interrupted, or that is done.
func removeStrays(fs fsx.FS, dir string, m *manifest, making map[uint64]bool) error {
	used := make(map[string]bool)
	for _, l := range m.Logs {
		used[logName(l.ID)] = true
	}
	for _, s := range m.Segments {
		used[vectorsName(s.ID)], used[docsName(s.ID)], used[deadName(s.Dead)] = true, true, true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("vectorize: %w", err)
	}
	var stray []string
	for _, e := range entries {
		number, kind, _ := strings.Cut(e.Name(), ".")
		id, err := strconv.ParseUint(number, 10, 64)
		known := kind == "log" || kind == "vectors" || kind == "docs" || kind == "dead"
		if err == nil && known && !used[e.Name()] && !making[id] {
			stray = append(stray, filepath.Join(dir, e.Name()))
		}
	}
	return removeFiles(fs, stray...)
}
