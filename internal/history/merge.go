package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/superfly/ltx"
)

const (
	// So many files of level 1 become one of level 2.
	mergeMany = 16
	// A snapshot is made when what came after the last one is larger than it, and than
	// snapshotAfter bytes.
	snapshotAfter = 16 << 20
	// Files that are too old are looked for every retentionEvery.
	retentionEvery = time.Hour
)

// mergeLoop keeps the number of files and the way to a state short. What it fails at
// is tried again: nothing depends on it but speed and space.
func (r *Recorder) mergeLoop() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-r.quit; cancel() }()
	tick := time.NewTicker(retentionEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-r.work:
		case <-tick.C:
		}
		if r.o.Work != nil {
			select {
			case r.o.Work <- struct{}{}:
			case <-r.quit:
				return
			}
		}
		err := r.Merge(ctx)
		if r.o.Work != nil {
			<-r.o.Work
		}
		if err != nil && ctx.Err() == nil {
			r.o.Log.Warn("files of a database's history were not merged", "database", r.o.Path, "error", err)
		}
	}
}

// Merge makes the files of higher levels that are due and removes those beyond the
// retention.
func (r *Recorder) Merge(ctx context.Context) error {
	for _, step := range []func(context.Context) error{r.mergeSegments, r.mergeSingles, r.mergeSnapshot, r.expire} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sealed lists the files that grow no more.
func (r *Recorder) sealed() []File {
	r.folder.mu.RLock()
	defer r.folder.mu.RUnlock()
	return slices.Clone(r.folder.files)
}

// mergeSegments makes a file of level 1 out of each segment.
func (r *Recorder) mergeSegments(ctx context.Context) error {
	files := r.sealed()
	for _, f := range files {
		covered := slices.ContainsFunc(files, func(g File) bool { return g.Level > LevelRecords && g.Min <= f.Min && g.Max >= f.Max })
		if f.Level != LevelRecords || f.Min == f.Max || covered || f.Max <= lastSnapshot(files).Max {
			continue
		}
		if err := r.mergeSegment(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recorder) mergeSegment(ctx context.Context, f File) (err error) {
	in, err := r.folder.Open(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	m := merger{pages: make(map[uint32][]byte)}
	if err := decodeRecords(in, f.Min, f.Max, &m); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	out := f
	out.Level = LevelSingle
	return r.folder.Create(out, func(w io.Writer) error {
		enc, err := newEncoder(w, header(f.Min, f.Max, f.Last, m.pageSize, m.commit))
		if err != nil {
			return err
		}
		for _, n := range slices.Sorted(maps.Keys(m.pages)) {
			if err := enc.put(n, m.pages[n]); err != nil {
				return err
			}
		}
		return enc.end()
	})
}

// merger keeps the last version of each page.
type merger struct {
	pageSize, commit uint32
	pages            map[uint32][]byte
}

func (m *merger) begin(pageSize, commit uint32) error {
	m.pageSize, m.commit = pageSize, commit
	return nil
}

func (m *merger) page(pgno uint32, data []byte) error {
	if old := m.pages[pgno]; old != nil {
		copy(old, data)
	} else {
		m.pages[pgno] = bytes.Clone(data)
	}
	return nil
}

func lastSnapshot(files []File) File {
	var last File
	for _, f := range files {
		if f.Level == LevelSnapshot {
			last = f
		}
	}
	return last
}

// mergeSingles makes files of level 2.
func (r *Recorder) mergeSingles(ctx context.Context) error {
	for {
		var run []File
		files := r.sealed()
		for _, f := range files {
			covered := slices.ContainsFunc(files, func(g File) bool { return g.Level == LevelMany && g.Min <= f.Min && g.Max >= f.Max })
			if f.Level == LevelSnapshot || f.Level == LevelMany || covered || f.Max <= lastSnapshot(files).Max {
				continue
			}
			if f.Level == LevelRecords && f.Min != f.Max {
				continue // its merged file counts
			}
			if len(run) > 0 && run[len(run)-1].Max+1 != f.Min {
				run = nil
			}
			if run = append(run, f); len(run) == mergeMany {
				break
			}
		}
		if len(run) < mergeMany {
			return nil
		}
		steps := make([]step, len(run))
		for i, f := range run {
			steps[i] = step{File: f, from: f.Min, to: f.Max}
		}
		out := File{Level: LevelMany, Min: run[0].Min, Max: run[len(run)-1].Max, First: run[0].First, Last: run[len(run)-1].Last}
		if err := r.compact(ctx, out, steps); err != nil {
			return err
		}
	}
}

// mergeSnapshot makes the next snapshot when it is due.
func (r *Recorder) mergeSnapshot(ctx context.Context) error {
	files := r.sealed()
	if len(files) == 0 {
		return nil
	}
	last := files[len(files)-1]
	steps, err := plan(files, last.Max)
	if err != nil {
		return err
	}
	var since int64
	for _, s := range steps[1:] {
		if s.Level == LevelRecords && s.Min != s.Max {
			return nil // sealed after the segments were merged
		}
		since += s.Size
	}
	if since < max(snapshotAfter, steps[0].Size) {
		return nil
	}
	out := File{Level: LevelSnapshot, Min: last.Max, Max: last.Max, First: last.Last, Last: last.Last}
	return r.compact(ctx, out, steps)
}

// compact merges files that follow one another into one, holding a page of each in
// memory.
func (r *Recorder) compact(ctx context.Context, out File, steps []step) (err error) {
	readers := make([]io.Reader, len(steps))
	for i := range steps {
		in, err := r.folder.Open(ctx, steps[i].File)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, in.Close()) }()
		readers[i] = in
		if steps[i].Level == LevelRecords { // one record
			if _, err := io.CopyN(io.Discard, in, recordPrefix); err != nil {
				return fmt.Errorf("history: %w: %w", ErrDamaged, err)
			}
		}
		readers[i] = sized(ctx, readers[i])
	}
	return r.folder.Create(out, func(w io.Writer) error {
		c, err := ltx.NewCompactor(w, readers)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		c.HeaderFlags = ltx.HeaderFlagNoChecksum
		// A snapshot is numbered from 1, its epoch from elsewhere; plan and mergeSingles
		// have looked at what follows what.
		c.AllowNonContiguousTXIDs = true
		if err := c.Compact(ctx); err != nil {
			return fmt.Errorf("history: merge into %s: %w", out.Name(), err)
		}
		return nil
	})
}

// expire removes files with nothing in them that the retention asks for.
func (r *Recorder) expire(context.Context) error {
	files := r.sealed()
	base := File{}
	for _, f := range files {
		if f.Level == LevelSnapshot && time.Since(f.Last) >= r.o.Retention {
			base = f
		}
	}
	newest := r.folder.last()
	r.using.Lock() // a restore keeps the files it reads
	defer r.using.Unlock()
	for _, f := range files {
		merged := f.Level > LevelRecords && f.Level < LevelSnapshot && f.Min != f.Max
		if f.Max > base.Max || f == base || f.Max == newest && !merged {
			continue
		}
		if err := r.folder.remove(f); err != nil {
			return err
		}
	}
	return nil
}
