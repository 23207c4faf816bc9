package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A segment is one file of the log, named by its number so that the clock's
// jumps cannot change their order.
type segment struct {
	seq  uint64
	size int64
	last time.Time // of the newest write
}

const (
	segmentPrefix = "events-"
	segmentSuffix = ".jsonl"
	segmentDigits = 12
)

func segmentName(seq uint64) string {
	return fmt.Sprintf("%s%0*d%s", segmentPrefix, segmentDigits, seq, segmentSuffix)
}

func parseSegmentName(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, segmentSuffix)
	if !ok || len(digits) < segmentDigits {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 63)
	return seq, err == nil && segmentName(seq) == name
}

// segments is the folder of segments. One goroutine writes; readers take
// snapshots.
type segments struct {
	dir string

	mu      sync.Mutex
	o       LogOptions
	list    []segment // by number; the last is being written when file is not nil
	changed chan struct{}

	file    *os.File // writer only
	started time.Time
}

// open lists dir and continues its newest segment.
func (s *segments) open(dir string, o LogOptions) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the log folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the log folder: %w", err)
	}
	s.dir, s.o, s.changed = dir, o, make(chan struct{})
	for _, entry := range entries {
		seq, ok := parseSegmentName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("look at log segment %s: %w", entry.Name(), err)
		}
		s.list = append(s.list, segment{seq: seq, size: info.Size(), last: info.ModTime()})
	}
	slices.SortFunc(s.list, func(a, b segment) int { return cmp.Compare(a.seq, b.seq) })
	if err := s.prune(); err != nil {
		return err
	}
	if len(s.list) == 0 {
		return s.rotate()
	}
	return s.resume()
}

// resume opens the newest segment for appending and ends a line that a crash
// has torn.
func (s *segments) resume() error {
	last := &s.list[len(s.list)-1]
	name := filepath.Join(s.dir, segmentName(last.seq))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // in the log folder, by number
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	s.file, s.started = f, last.last
	if last.size == 0 {
		return nil
	}
	end := make([]byte, 1)
	if _, err := f.ReadAt(end, last.size-1); err != nil {
		return errors.Join(fmt.Errorf("read log segment %s: %w", name, err), f.Close())
	}
	if end[0] == '\n' {
		return nil
	}
	if _, err := f.WriteString("\n"); err != nil {
		return errors.Join(fmt.Errorf("mend log segment %s: %w", name, err), f.Close())
	}
	last.size++
	return nil
}

// rotate ends the current segment and begins the next.
func (s *segments) rotate() error {
	if s.file != nil {
		err := errors.Join(s.file.Sync(), s.file.Close())
		s.file = nil
		if err != nil {
			return fmt.Errorf("end log segment: %w", err)
		}
	}
	s.mu.Lock()
	var seq uint64 = 1
	if n := len(s.list); n > 0 {
		seq = s.list[n-1].seq + 1
	}
	s.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(s.dir, segmentName(seq)), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("begin log segment: %w", err)
	}
	s.file, s.started = f, time.Now()
	s.mu.Lock()
	s.list = append(s.list, segment{seq: seq, last: s.started})
	s.mu.Unlock()
	return s.prune()
}

// write appends whole lines to the current segment. After an error nothing of
// batch is left in it, or the segment is ended.
func (s *segments) write(batch []byte) error {
	s.mu.Lock()
	size := int64(0)
	if len(s.list) > 0 {
		size = s.list[len(s.list)-1].size
	}
	limit, span := s.o.SegmentBytes, s.o.MaxAge/8
	s.mu.Unlock()
	if s.file == nil || (size > 0 && (size+int64(len(batch)) > limit || time.Since(s.started) > span)) {
		if err := s.rotate(); err != nil {
			return err
		}
		size = 0
	}
	if _, err := s.file.Write(batch); err != nil {
		if undo := s.file.Truncate(size); undo != nil {
			err = errors.Join(err, undo, s.file.Close())
			s.file = nil // the next write begins a segment of its own
		}
		return fmt.Errorf("append to log segment: %w", err)
	}
	s.mu.Lock()
	last := &s.list[len(s.list)-1]
	last.size = size + int64(len(batch))
	last.last = time.Now()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	return nil
}

// prune removes the oldest segments that size or age have overtaken. The
// current one counts as full and always stays.
func (s *segments) prune() error {
	s.mu.Lock()
	total := s.o.SegmentBytes
	for _, seg := range s.list[:max(len(s.list)-1, 0)] {
		total += seg.size
	}
	var gone []segment
	for len(s.list) > 1 && (total > s.o.MaxBytes || time.Since(s.list[0].last) > s.o.MaxAge) {
		total -= s.list[0].size
		gone = append(gone, s.list[0])
		s.list = s.list[1:]
	}
	s.list = slices.Clone(s.list)
	s.mu.Unlock()
	for _, seg := range gone {
		if err := os.Remove(filepath.Join(s.dir, segmentName(seg.seq))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log segment: %w", err)
		}
	}
	return nil
}

func (s *segments) setBounds(o LogOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.MaxBytes, s.o.MaxAge, s.o.SegmentBytes = o.MaxBytes, o.MaxAge, o.SegmentBytes
}

// snapshot returns the segments and a channel that is closed when there is more.
func (s *segments) snapshot() (list []segment, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list), s.changed
}

func (s *segments) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	for _, seg := range s.list {
		total += seg.size
	}
	return total
}

func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Sync(), s.file.Close())
	s.file = nil
	return err
}
