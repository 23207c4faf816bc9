package ann

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Source is where Build gets its vectors. [Segment] and [Mem] are sources.
type Source interface {
	// Len returns the number of vectors.
	Len() int
	// Vector appends vector row to dst. Build asks for each row once, in order.
	Vector(dst []float32, row int) ([]float32, error)
}

// Build writes the vectors of src as a segment at path, replacing what was
// there, and returns when it is on disk. It uses all cores (Config.Workers)
// and, for a while, memory of about a third of the vectors' size. A vector that
// cannot be stored is a [*VectorError]; after an error, or when ctx ends, there
// is no new file.
func Build(ctx context.Context, fs fsx.FS, path string, c Config, src Source) error {
	if err := c.validate(); err != nil {
		return err
	}
	if n := src.Len(); n >= done {
		return fmt.Errorf("ann: %d vectors are too many for one segment", n)
	}
	f, err := fs.CreateTemp(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return err
	}
	w := &writer{out: bufio.NewWriterSize(fs.Writer(f), 1<<20), file: f, cfg: c}
	if err := w.segment(ctx, src); err != nil {
		return errors.Join(err, fs.Discard(f))
	}
	return fs.Commit(f, path)
}

// writer writes one segment file.
type writer struct {
	cfg  Config
	out  *bufio.Writer
	file *os.File
	at   uint64
	foot footer
}

func (w *writer) segment(ctx context.Context, src Source) error {
	n := src.Len()
	w.foot = footer{dim: uint32(w.cfg.Dim), metric: uint32(w.cfg.Metric), count: uint32(n), bits: codeBits(w.cfg.Dim)} //nolint:gosec // both checked
	sums, norms, err := w.vectors(ctx, src)
	if err != nil {
		return err
	}
	if err := errors.Join(w.part(partSums, bytesOf(sums)), w.part(partNorms, bytesOf(norms))); err != nil {
		return err
	}
	if err := w.guides(ctx, norms); err != nil {
		return err
	}
	if _, err := w.out.Write(w.foot.encode()); err != nil {
		return err
	}
	return w.out.Flush()
}

// guides writes what leads searches to the vectors: codes and graph.
func (w *writer) guides(ctx context.Context, norms []float32) (err error) {
	// The vectors are read back from where they were written: their pages are in
	// the system's cache, and a copy of our own would be the largest thing here.
	if err := w.out.Flush(); err != nil {
		return err
	}
	var vectors []float32
	if size := w.foot.extents[partVectors].size; size > 0 {
		mapped, err := mapFile(w.file, int(size)) //nolint:gosec // of a file that exists
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unmap(mapped)) }()
		vectors = view[float32](mapped)
	}
	e := newEncoder(w.cfg, int(w.foot.bits), vectors, norms)
	mem, err := newRegion(e.codes.size(len(norms)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.free()) }()
	e.codes.data = mem.bytes
	if err := e.run(ctx); err != nil {
		return err
	}
	if err := errors.Join(w.part(partCenter, bytesOf(e.codes.center)), w.part(partCodes, mem.bytes)); err != nil {
		return err
	}
	g := &graph{}
	if len(norms) >= graphMinimum && !w.cfg.Flat {
		var lengths []float32
		if w.cfg.Metric == DotProduct {
			lengths = norms
		}
		if g, err = newBuilder(e.codes, e.rr, lengths).run(ctx, w.cfg.workers()); err != nil {
			return err
		}
	}
	w.foot.degree = uint32(g.degree) //nolint:gosec // small
	return errors.Join(w.part(partLinks, bytesOf(g.links)), w.part(partEntries, bytesOf(g.entries)))
}

// vectors writes them and returns their checksums and lengths.
func (w *writer) vectors(ctx context.Context, src Source) (sums []uint32, norms []float32, err error) {
	n := src.Len()
	sums, norms = make([]uint32, n), make([]float32, n)
	row := make([]float32, 0, w.cfg.Dim)
	for i := range n {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if row, err = src.Vector(row[:0], i); err != nil {
			return nil, nil, err
		}
		if len(row) != w.cfg.Dim {
			return nil, nil, atRow(w.cfg.Check(row), i)
		}
		norm, err := w.cfg.norm(row)
		if err != nil {
			return nil, nil, atRow(err, i)
		}
		b := bytesOf(row)
		sums[i], norms[i] = crc32.Checksum(b, castagnoli), float32(norm)
		if _, err := w.out.Write(b); err != nil {
			return nil, nil, err
		}
	}
	return sums, norms, w.end(partVectors, uint64(n)*uint64(w.cfg.Dim)*4, 0) //nolint:gosec // not negative
}

// part writes a whole part.
func (w *writer) part(p part, b []byte) error {
	if _, err := w.out.Write(b); err != nil {
		return err
	}
	return w.end(p, uint64(len(b)), crc32.Checksum(b, castagnoli))
}

// end notes a part of size bytes that has just been written, and pads to a
// page.
func (w *writer) end(p part, size uint64, sum uint32) error {
	w.foot.extents[p] = extent{offset: w.at, size: size, sum: sum}
	w.at += size
	pad := (pageSize - w.at%pageSize) % pageSize
	w.at += pad
	_, err := w.out.Write(make([]byte, pad))
	return err
}
