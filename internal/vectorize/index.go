package vectorize

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Config is what an index is made with and keeps for good.
type Config struct {
	Dimensions int
	Metric     Metric
}

// Index is an open index. It is safe for concurrent use; who is done with it
// Releases it.
type Index struct {
	Config

	name    string
	id      uuid.UUID
	dir     string
	fs      fsx.FS
	lg      *slog.Logger
	limits  *Limits
	flush   flushSize
	now     func() time.Time
	writer  *writer
	release func()

	keeper *keeper
	// manMu guards man, which is what is on disk, and writing it. It is taken before mu.
	manMu     sync.Mutex
	man       manifest
	persisted map[uint64]persistedDead // of each segment
	making    map[uint64]bool          // segments whose files no manifest names yet

	mu sync.RWMutex // guards what follows
	// A vector is in exactly one of mem, frozen and the live rows of segs.
	mem      *memory
	frozen   *memory // what is becoming a segment; nil for nothing
	frozenAt checkpoint
	segs     []part
	gen      int               // changes when segs does
	owned    map[*segment]bool // whose dead bitmaps were made for the group that is applied
	found    *located          // while a group is applied
	flushed  checkpoint        // up to which the segments have everything
	meta     []MetadataIndex
	spaces   map[string]int // live vectors of each namespace
	count    int
	seq      uint64
	mutation uuid.UUID
	time     time.Time
}

type openOptions struct {
	name   string
	id     uuid.UUID
	dir    string
	fs     fsx.FS
	log    *slog.Logger
	limits *Limits
	flush  flushSize
	now    func() time.Time
}

// createIndex makes the files of an empty index in dir, which must not exist.
func createIndex(fs fsx.FS, dir string, id uuid.UUID, c Config) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := createLog(fs, filepath.Join(dir, logName(1)), id); err != nil {
		return err
	}
	m := manifest{Index: id, Dimensions: c.Dimensions, Metric: c.Metric, Logs: []logRef{{ID: 1, First: 1}}, NextFile: 2}
	return m.write(fs, dir)
}

// openIndex opens the index in o.dir and brings it to where its log ends.
func openIndex(o openOptions) (*Index, error) {
	m, err := readManifest(o.dir, o.id)
	if err != nil {
		return nil, err
	}
	if err := removeStrays(o.fs, o.dir, m, nil); err != nil {
		return nil, err
	}
	x := &Index{
		Config: Config{m.Dimensions, m.Metric}, name: o.name, id: o.id, dir: o.dir, fs: o.fs, lg: o.log, limits: o.limits, now: o.now,
		flush: o.flush, man: *m, persisted: make(map[uint64]persistedDead), making: make(map[uint64]bool), meta: slices.Clone(m.Metadata), spaces: make(map[string]int), seq: m.Seq, mutation: m.Mutation, time: m.Time,
	}
	if x.mem, err = newMemory(&x.Config); err != nil {
		return nil, err
	}
	x.flushed = checkpoint{seq: m.Seq, mutation: m.Mutation, time: m.Time, meta: m.Metadata}
	opened := false
	defer func() {
		if !opened {
			x.closeSegments()
		}
	}()
	if err := x.openSegments(); err != nil {
		return nil, err
	}
	x.owned = make(map[*segment]bool)
	var last *log
	for i, ref := range m.Logs {
		path := filepath.Join(o.dir, logName(ref.ID))
		l, cutOff, err := openLog(o.fs, path, o.id, ref.First, ref.Sealed, x.replay)
		if err != nil {
			return nil, err
		}
		if cutOff > 0 {
			o.log.Warn("the end of a log was cut off: a mutation that was never acknowledged", "index", o.name, "log", path, "bytes", cutOff)
		}
		if i < len(m.Logs)-1 {
			if err := l.close(); err != nil {
				return nil, err
			}
			continue
		}
		last = l
	}
	opened = true
	x.keeper = newKeeper(x)
	x.writer = startWriter(x, last)
	x.keeper.start()
	return x, nil
}

// close ends the writer and notes that all of the log was acknowledged.
func (x *Index) close() error {
	x.writer.stop()
	x.keeper.stop()
	x.manMu.Lock()
	defer x.manMu.Unlock()
	defer x.closeSegments()
	var err error
	if l := x.writer.log; l.broken == nil {
		x.man.Logs[len(x.man.Logs)-1].Sealed = l.file.Size()
		err = x.man.write(x.fs, x.dir)
	}
	return errors.Join(err, x.writer.log.close())
}

// Release ends one use.
func (x *Index) Release() { x.release() }

// replay applies a mutation of the log while the index is opened.
func (x *Index) replay(m *mutation) error {
	if m.seq <= x.seq {
		return nil // it is in the segments
	}
	if m.seq != x.seq+1 {
		return errRecord
	}
	return x.apply(m)
}

// apply changes what is in memory. The caller holds mu, or has the index alone. It
// fails only on a vector that no check let through, when what is in memory is not
// what the log says any more.
func (x *Index) apply(m *mutation) error {
	switch m.op {
	case opInsert, opUpsert:
		for i := range m.vectors {
			v := &m.vectors[i]
			if m.op == opInsert && x.has(v.ID) {
				continue
			}
			x.drop(v.ID)
			if err := x.mem.put(v, m.seq, indexed(x.meta, v.Metadata, m.seq)); err != nil {
				return fmt.Errorf("%w: %w", errRecord, err)
			}
			x.spaces[v.Namespace]++
			x.count++
		}
	case opDelete:
		for _, id := range m.ids {
			x.drop(id)
		}
	case opCreateIndex:
		x.meta = append(slices.Clone(x.meta), m.metadata)
		x.reindex()
	case opDeleteIndex:
		x.meta = slices.DeleteFunc(slices.Clone(x.meta), func(i MetadataIndex) bool { return i.Property == m.metadata.Property })
		x.reindex()
	}
	x.seq, x.mutation, x.time = m.seq, m.id, m.time
	return nil
}
