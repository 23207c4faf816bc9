package ann

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
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
	if n := src.Len(); uint64(n) >= math.MaxUint32 { //nolint:gosec // not negative
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
	w.foot = footer{dim: uint32(w.cfg.Dim), metric: uint32(w.cfg.Metric), count: uint32(n)} //nolint:gosec // both checked
	sums, norms, err := w.vectors(ctx, src)
	if err != nil {
		return err
	}
	if err := errors.Join(w.part(partSums, bytesOf(sums)), w.part(partNorms, bytesOf(norms))); err != nil {
		return err
	}
	if _, err := w.out.Write(w.foot.encode()); err != nil {
		return err
	}
	return w.out.Flush()
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
