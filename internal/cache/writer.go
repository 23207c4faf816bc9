package cache

import (
	"os"
	"path/filepath"
	"strconv"
)

// Writer takes a body that is to be cached. It is ended with Commit or Abort and
// used by one goroutine.
type Writer struct {
	s      *Store
	zone   *zone
	file   *os.File
	length int64
	err    error // what the first failed call said
	done   bool
}

// NewWriter begins an entry of a zone.
func (s *Store) NewWriter(zone string) (*Writer, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.files++
	dir := filepath.Join(s.dir, strconv.Itoa(s.files%fileDirs))
	w := &Writer{s: s, zone: s.zone(zone)}
	w.zone.writers++
	s.mu.Unlock()
	var err error
	if w.file, err = s.fs.CreateTemp(dir, "body"); err != nil {
		w.end(nil)
		return nil, err
	}
	return w, nil
}

// Write implements io.Writer. After an error the body cannot be committed.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.length+int64(len(p)) > w.s.o.MaxObject {
		w.err = ErrTooLarge
		return 0, w.err
	}
	if w.err = w.reserve(int64(len(p))); w.err != nil {
		return 0, w.err
	}
	var n int
	n, w.err = w.s.fs.Writer(w.file).Write(p)
	return n, w.err
}

// reserve counts bytes that are about to be written, and makes room for them.
func (w *Writer) reserve(n int64) error {
	s := w.s
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	w.grow(n)
	paths, ok := s.evict(w.zone)
	if !ok {
		w.grow(-n)
	}
	s.mu.Unlock()
	s.unlink(paths...)
	if !ok {
		return ErrFull
	}
	return nil
}

// grow changes what the writer holds. The caller holds s.mu.
func (w *Writer) grow(n int64) {
	w.length += n
	w.zone.bytes += n
	w.s.bytes += n
	w.s.settle(w.zone)
}

// end gives back what the writer holds, and then, under the same lock, does what
// is to be done instead. It reports whether the store is open.
func (w *Writer) end(then func()) bool {
	w.done = true
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	w.zone.bytes -= w.length
	s.bytes -= w.length
	if then != nil {
		then()
	}
	w.zone.writers--
	s.settle(w.zone)
	return true
}

// Commit puts the response with the body written so far into the index.
func (w *Writer) Commit(k Key, res *Response) error {
	if w.done {
		return nil
	}
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	if w.err != nil {
		w.Abort()
		return w.err
	}
	e := &entry{
		key: k, zone: w.zone, res: res, path: w.file.Name(), length: w.length,
		size: (w.length+block-1)/block*block + res.size() + overhead,
	}
	var paths []string
	if !w.end(func() { paths = w.s.insert(e) }) {
		w.s.unlink(e.path)
		return ErrClosed
	}
	w.s.unlink(paths...)
	return nil
}

// insert puts an entry into the index. The caller holds s.mu and unlinks.
func (s *Store) insert(e *entry) (paths []string) {
	z := e.zone
	if old := z.entries[e.key]; old != nil {
		s.remove(old)
		paths = append(paths, old.path)
	}
	z.entries[e.key] = e
	z.list.add(e)
	z.bytes += e.size
	s.bytes += e.size
	s.entries++
	s.stats.Stored++
	s.settle(z)
	more, _ := s.evict(z) // at the worst the entry itself
	return append(paths, more...)
}

// Abort throws the body away. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.end(nil)
	if err := w.s.fs.Discard(w.file); err != nil {
		w.s.o.Log.Warn("cannot remove an unfinished cached body; the next start does", "error", err)
	}
}
