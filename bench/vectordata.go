package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/ann/anntest"
)

const (
	vectorQueries = 1000
	vectorK       = 10
	vectorChunk   = 1 << 16 // rows that are made at a time
)

// vectorData is a set of clustered vectors and queries that are not among them.
// The vectors, the answers and all that contenders make of them are files of
// one folder, which outlives the run: to make them takes much longer than to
// measure.
type vectorData struct {
	dir     string
	n, dim  int
	base    []float32 // mapped
	queries []float32
}

// vectorSet opens the set of n vectors, and makes it the first time.
func (b *bench) vectorSet(n, dim int) (*vectorData, error) {
	cache := b.vectorData
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(user, "selvage-bench", "vectors")
	}
	d := &vectorData{dir: filepath.Join(cache, fmt.Sprintf("%d-%d", n, dim)), n: n, dim: dim}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	made := anntest.NewClustered(dim, vectorSeed)
	write := func(name string, first, n int) error {
		if _, err := os.Stat(d.file(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return writeWhole(d.file(name), func(w *bufio.Writer) error {
			for at := 0; at < n; at += vectorChunk {
				x := made.Rows(first+at, min(vectorChunk, n-at))
				if _, err := w.Write(rawBytes(x)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := errors.Join(write("base.f32", 0, n), write("queries.f32", n, vectorQueries))
	if err == nil {
		d.base, err = mapRaw[float32](d.file("base.f32"))
	}
	if err == nil {
		d.queries, err = mapRaw[float32](d.file("queries.f32"))
	}
	return d, err
}

func (d *vectorData) file(name string) string { return filepath.Join(d.dir, name) }

func (d *vectorData) query(i int) []float32 { return d.queries[i*d.dim : (i+1)*d.dim] }

// Len and Vector make it a source of vectors.
func (d *vectorData) Len() int { return d.n }

func (d *vectorData) Vector(dst []float32, i int) ([]float32, error) {
	return append(dst, d.base[i*d.dim:(i+1)*d.dim]...), nil
}

// truth returns the rows nearest to each of the first n queries among those of
// filter, by comparing all; name is the filter's.
func (d *vectorData) truth(seg *ann.Segment, name string, filter *ann.Bitmap, n int) ([][]uint32, error) {
	file := d.file(fmt.Sprintf("truth-%s-%d", name, n))
	flat, err := mapRaw[uint32](file)
	if errors.Is(err, fs.ErrNotExist) {
		a, err := askSegment(seg, d, n, 2, ann.SearchOptions{K: vectorK, Filter: filter, Exact: true})
		if err != nil {
			return nil, err
		}
		return a.Found, writeWhole(file, func(w *bufio.Writer) error {
			for _, rows := range a.Found {
				if _, err := w.Write(rawBytes(rows)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	truth := make([][]uint32, n)
	for i := range truth {
		truth[i] = flat[i*vectorK : (i+1)*vectorK]
	}
	return truth, nil
}

// writeWhole writes a file that is either complete or not there.
func writeWhole(name string, fill func(w *bufio.Writer) error) error {
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(fill(w), w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}

func rawBytes[T float32 | uint32 | uint64](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(x[0])))
}

// mapRaw maps a file of numbers; it stays mapped while the program runs.
func mapRaw[T float32 | uint32](name string) ([]T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(one))), nil
}
