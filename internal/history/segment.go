package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// activeName is the segment that still grows.
const activeName = "active.seg"

// Bounds of a segment: what has to be read to find a transaction in it, and what a
// merge holds in memory.
const (
	maxSegmentBytes   = 4 << 20
	maxSegmentRecords = 4096
	maxSegmentPages   = 8192
)

// segment is the file that records are appended to. Its owner is the goroutine that
// records; file is read under [Folder.mu], and so is changed under it.
type segment struct {
	out         *fsx.AppendFile
	first, last record
	count       int
	pages       int
	unsynced    bool
	whole       int64 // bytes that readers may read
}

// file describes what is in the segment, false when it is empty.
func (s *segment) file() (File, bool) {
	if s.count == 0 {
		return File{}, false
	}
	return File{Level: LevelRecords, Min: s.first.id, Max: s.last.id, First: s.first.at, Last: s.last.at, Size: s.whole}, true
}

func (s *segment) note(r record) {
	if s.count == 0 {
		s.first = r
	}
	s.last = r
	s.count++
	s.whole = r.offset + r.size
}

func (s *segment) full() bool {
	return s.whole >= maxSegmentBytes || s.count >= maxSegmentRecords || s.pages >= maxSegmentPages
}

// openGrowing opens a file to append to, making an empty one when there is none.
func openGrowing(fs fsx.FS, path string) (*fsx.AppendFile, error) {
	out, err := fs.OpenAppend(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = fs.WriteFile(path, nil, 0o600); err == nil {
			out, err = fs.OpenAppend(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return out, nil
}

// openSegment opens the growing segment and cuts off its torn end.
func (d *Folder) openSegment() error {
	out, err := openGrowing(d.fs, filepath.Join(d.dir, activeName))
	if err != nil {
		return err
	}
	s := &segment{out: out}
	end, err := eachRecord(out, out.Size(), sound, func(r record) error { s.note(r); return nil })
	if err == nil && end < out.Size() {
		err = out.Truncate(end)
	}
	if err != nil {
		return errors.Join(err, out.Close())
	}
	s.unsynced = s.count > 0 // who knows
	d.mu.Lock()
	d.active = s
	d.mu.Unlock()
	return nil
}

// appendRecords puts records at the end of the segment in one write.
func (d *Folder) appendRecords(b []byte, rs []record, pages int) error {
	if d.active == nil { // it was sealed, and no new one could be made
		if err := d.openSegment(); err != nil {
			return err
		}
	}
	s := d.active
	base := s.whole
	if err := s.out.Append(b); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range rs {
		r.offset += base
		s.note(r)
	}
	s.pages += pages
	s.unsynced = true
	return nil
}

// syncSegment makes all records durable.
func (d *Folder) syncSegment() error {
	if d.active == nil || !d.active.unsynced {
		return nil
	}
	if err := d.active.out.Sync(); err != nil {
		// A second Sync that works would mean nothing: what the kernel dropped is gone.
		return fmt.Errorf("history: %w: %w", errUnsynced, err)
	}
	d.active.unsynced = false
	return nil
}

// seal gives the segment its final name and begins another one.
func (d *Folder) seal() error {
	if d.active == nil {
		return nil
	}
	f, ok := d.active.file()
	if !ok {
		return nil
	}
	d.active.unsynced = true // its length, too
	if err := d.syncSegment(); err != nil {
		return err
	}
	d.mu.Lock()
	err := d.fs.Rename(d.active.out.Name(), filepath.Join(d.dir, f.Name()))
	old := d.active
	if err == nil {
		d.active = nil
		d.addLocked(f)
	}
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := d.fs.SyncDir(d.dir); err != nil {
		return fmt.Errorf("history: %w", errors.Join(err, old.out.Close()))
	}
	if err := old.out.Close(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return d.openSegment()
}
