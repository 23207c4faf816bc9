package ann

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Segment is an immutable set of vectors in a file. Its methods may be called
// concurrently.
type Segment struct {
	cfg  Config
	path string
	n    int
	foot footer

	mapped  []byte    // the file
	vectors []float32 // of mapped
	sums    []uint32  // of mapped
	norms   []float32 // of mapped
	sound   []atomic.Uint64

	memory [2]region // of codes and graph, which are read into memory
	codes  *codes
	graph  graph // no links: there is none

	// refs counts the opener and the calls that run. The mapping goes with the
	// last of them.
	refs    atomic.Int64
	closed  atomic.Bool
	scratch sync.Pool
}

// Open opens the segment at path and verifies what guides its searches. A file
// that is not what Build wrote is a [*CorruptError]. The caller owns the
// segment and closes it.
func Open(path string) (*Segment, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's file
	if err != nil {
		return nil, err
	}
	s, err := open(f, path)
	// The mapping outlives the descriptor.
	if closeErr := f.Close(); err == nil && closeErr != nil {
		return nil, errors.Join(closeErr, s.Close())
	}
	return s, err
}

func open(f *os.File, path string) (*Segment, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	page := make([]byte, pageSize)
	if info.Size() < pageSize {
		return nil, &CorruptError{Path: path, Part: "footer", Reason: "the file is too short"}
	}
	if _, err := f.ReadAt(page, info.Size()-pageSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, &CorruptError{Path: path, Part: "footer", Reason: "it cannot be read", Err: err}
	}
	foot, reason := decodeFooter(page, uint64(info.Size())) //nolint:gosec // not negative
	if reason != "" {
		return nil, &CorruptError{Path: path, Part: "footer", Reason: reason}
	}
	mapped, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &Segment{cfg: foot.config(), path: path, n: int(foot.count), foot: *foot, mapped: mapped}
	s.refs.Store(1)
	s.scratch.New = func() any { return new(scratch) }
	if err := s.load(f); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// load verifies and sets up all parts but the vectors, which are verified one
// by one.
func (s *Segment) load(f *os.File) (err error) {
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.guard(debug.SetPanicOnFault(true), &err)
	for _, p := range []part{partSums, partNorms, partCenter, partEntries} {
		if err := s.verify(p, s.part(p)); err != nil {
			return err
		}
	}
	for i, p := range []part{partCodes, partLinks} {
		if s.memory[i], err = s.read(f, p); err != nil {
			return err
		}
	}
	s.vectors = view[float32](s.part(partVectors))
	s.sums = view[uint32](s.part(partSums))
	s.norms = view[float32](s.part(partNorms))
	s.sound = make([]atomic.Uint64, (s.n+63)/64)
	s.codes = newCodes(s.cfg.Dim, int(s.foot.bits), slices.Clone(view[float32](s.part(partCenter))))
	s.codes.data = s.memory[0].bytes
	s.graph = graph{degree: int(s.foot.degree), links: view[uint32](s.memory[1].bytes), entries: slices.Clone(view[uint32](s.part(partEntries)))}
	s.cfg.Flat = len(s.graph.links) == 0 && s.n >= graphMinimum
	if !s.graph.within(s.n) {
		return &CorruptError{Path: s.path, Part: partLinks.String(), Reason: "it names rows that are not there"}
	}
	s.graph.open(s.codes)
	return nil
}

// read reads a part into memory of its own. A mapping would do, but not in
// large pages.
func (s *Segment) read(f *os.File, p part) (region, error) {
	e := s.foot.extents[p]
	r, err := newRegion(int(e.size)) //nolint:gosec // within a file
	if err != nil {
		return r, err
	}
	if _, err := f.ReadAt(r.bytes, int64(e.offset)); err != nil { //nolint:gosec // within a file
		return r, &CorruptError{Path: s.path, Part: p.String(), Reason: "it cannot be read", Err: err}
	}
	return r, s.verify(p, r.bytes)
}

func (s *Segment) verify(p part, b []byte) error {
	if crc32.Checksum(b, castagnoli) != s.foot.extents[p].sum {
		return &CorruptError{Path: s.path, Part: p.String(), Reason: "the checksum does not fit"}
	}
	return nil
}

func (s *Segment) part(p part) []byte {
	e := s.foot.extents[p]
	return s.mapped[e.offset : e.offset+e.size : e.offset+e.size]
}

// Len returns the number of rows.
func (s *Segment) Len() int { return s.n }

// Config returns the dimensions and the metric.
func (s *Segment) Config() Config { return s.cfg }

// Memory returns the bytes of memory that the segment holds besides what the
// system caches of its file.
func (s *Segment) Memory() int {
	return len(s.memory[0].bytes) + len(s.memory[1].bytes) + 4*len(s.graph.entries) + 8*len(s.sound)
}

// Path returns the file's name.
func (s *Segment) Path() string { return s.path }

// Close ends the segment. Calls that run are not disturbed; later ones fail
// with [ErrClosed]. The file may be removed at any time.
func (s *Segment) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.release()
}

// Vector appends the vector of row to dst, as it was given to Build.
func (s *Segment) Vector(dst []float32, row int) (_ []float32, err error) {
	if row < 0 || row >= s.n {
		return dst, fmt.Errorf("ann: row %d of %d", row, s.n)
	}
	if err := s.acquire(); err != nil {
		return dst, err
	}
	defer s.guard(debug.SetPanicOnFault(true), &err)
	v, err := s.vector(uint32(row)) //nolint:gosec // checked above
	if err != nil {
		return dst, err
	}
	return append(dst, v...), nil
}

// vector returns the mapped vector of row after it has been verified once.
func (s *Segment) vector(row uint32) ([]float32, error) {
	at := int(row) * s.cfg.Dim
	v := s.vectors[at : at+s.cfg.Dim : at+s.cfg.Dim]
	word, bit := &s.sound[row>>6], uint64(1)<<(row&63)
	if word.Load()&bit == 0 {
		if crc32.Checksum(bytesOf(v), castagnoli) != s.sums[row] {
			return nil, &CorruptError{Path: s.path, Part: fmt.Sprintf("vector of row %d", row), Reason: "the checksum does not fit"}
		}
		word.Or(bit)
	}
	return v, nil
}

// acquire keeps the mapping until guard or release.
func (s *Segment) acquire() error {
	for {
		n := s.refs.Load()
		if n == 0 || s.closed.Load() {
			return ErrClosed
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (s *Segment) release() error {
	if s.refs.Add(-1) > 0 {
		return nil
	}
	return errors.Join(unmap(s.mapped), s.memory[0].free(), s.memory[1].free())
}

// guard, deferred, ends what acquire began. A mapped page that the disk cannot
// deliver, or that the file no longer has, arrives as a fault: it becomes an
// error here instead of the end of the process. The argument wasSet is what
// SetPanicOnFault returned.
func (s *Segment) guard(wasSet bool, err *error) {
	debug.SetPanicOnFault(wasSet)
	if r := recover(); r != nil {
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || !s.holds(fault.Addr()) {
			panic(r)
		}
		cause, _ := r.(error)
		*err = &CorruptError{Path: s.path, Part: "file", Reason: "a page of it cannot be read", Err: cause}
	}
	if closeErr := s.release(); closeErr != nil && *err == nil {
		*err = closeErr
	}
}

func (s *Segment) holds(addr uintptr) bool {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(s.mapped))) //nolint:gosec // compared, not used
	return addr >= first && addr-first < uintptr(len(s.mapped))
}
