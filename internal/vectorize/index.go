package vectorize

import (
	"errors"
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
	now     func() time.Time
	writer  *writer
	release func()

	mu       sync.RWMutex // guards what follows
	man      manifest
	mem      *memory
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
	x := &Index{
		Config: Config{m.Dimensions, m.Metric}, name: o.name, id: o.id, dir: o.dir, fs: o.fs, lg: o.log, limits: o.limits, now: o.now,
		man: *m, meta: slices.Clone(m.Metadata), spaces: make(map[string]int), seq: m.Seq, mutation: m.Mutation, time: m.Time,
	}
	x.mem = newMemory(&x.Config)
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
	x.writer = startWriter(x, last)
	return x, nil
}

// close ends the writer and notes that all of the log was acknowledged.
func (x *Index) close() error {
	x.writer.stop()
	x.mu.Lock()
	defer x.mu.Unlock()
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
	for i := range m.vectors {
		if len(m.vectors[i].Values) != x.Dimensions {
			return errRecord
		}
	}
	x.apply(m)
	return nil
}

// apply changes what is in memory. The caller holds mu, or has the index alone.
func (x *Index) apply(m *mutation) {
	switch m.op {
	case opInsert, opUpsert:
		for i := range m.vectors {
			v := &m.vectors[i]
			if x.has(v.ID) {
				if m.op == opInsert {
					continue
				}
				x.drop(v.ID)
			}
			x.mem.put(v, m.seq, indexed(x.meta, v.Metadata, m.seq))
			x.spaces[v.Namespace]++
			x.count++
		}
	case opDelete:
		for _, id := range m.ids {
			x.drop(id)
		}
	case opCreateIndex:
		x.meta = append(slices.Clone(x.meta), m.metadata)
		x.mem.reindex(x.meta)
	case opDeleteIndex:
		x.meta = slices.DeleteFunc(slices.Clone(x.meta), func(i MetadataIndex) bool { return i.Property == m.metadata.Property })
		x.mem.reindex(x.meta)
	}
	x.seq, x.mutation, x.time = m.seq, m.id, m.time
}

// has reports whether there is a vector with the id.
func (x *Index) has(id string) bool {
	_, ok := x.mem.byID[id]
	return ok
}

// drop removes the vector with the id, if there is one.
func (x *Index) drop(id string) {
	ns, ok := x.mem.remove(id)
	if !ok {
		return
	}
	x.count--
	if x.spaces[ns]--; x.spaces[ns] == 0 {
		delete(x.spaces, ns)
	}
}
