package telemetry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// readBytes is the reader's buffer; longer lines take more, up to maxLine.
const readBytes = 64 << 10

// Query yields the events f selects, the newest last, until yield returns
// false. It sees what was appended before the call. Its memory does not grow
// with the log: with a limit it remembers places, not events.
func (l *Logs) Query(ctx context.Context, f Filter, yield func(Event) bool) error {
	if err := l.Sync(ctx); err != nil && !errors.Is(err, ErrLogsClosed) {
		return err
	}
	list, _ := l.files.snapshot()
	_, err := l.query(ctx, list, f, yield)
	return err
}

// query is Query over a snapshot; more is false when yield has refused.
func (l *Logs) query(ctx context.Context, list []segment, f Filter, yield func(Event) bool) (more bool, err error) {
	m := newMatcher(f)
	if !f.Since.IsZero() {
		list = slices.DeleteFunc(slices.Clone(list), func(s segment) bool { return s.last.Before(f.Since) })
	}
	if f.Limit > 0 {
		return l.queryNewest(ctx, list, m, min(f.Limit, MaxLimit), yield)
	}
	more = true
	for _, seg := range list {
		_, err := l.scan(ctx, seg, 0, func(_ int64, line []byte) bool {
			if m.matches(line) {
				if e, ok := decodeEvent(line); ok {
					more = yield(e)
				}
			}
			return more
		})
		if err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

type place struct {
	offset int64
	length int
}

// queryNewest walks the segments from the newest back until it has limit
// places, then reads these in order.
func (l *Logs) queryNewest(ctx context.Context, list []segment, m *matcher, limit int, yield func(Event) bool) (more bool, err error) {
	type found struct {
		seg    segment
		places []place
	}
	var hits []found
	for _, seg := range slices.Backward(list) {
		if limit == 0 {
			break
		}
		var ring []place
		next := 0
		_, err := l.scan(ctx, seg, 0, func(offset int64, line []byte) bool {
			if !m.matches(line) {
				return true
			}
			p := place{offset: offset, length: len(line)}
			if len(ring) < limit {
				ring = append(ring, p)
			} else {
				ring[next] = p
				next = (next + 1) % limit
			}
			return true
		})
		if err != nil {
			return false, err
		}
		places := slices.Concat(ring[next:], ring[:next])
		limit -= len(places)
		hits = append(hits, found{seg, places})
	}
	for _, hit := range slices.Backward(hits) {
		if len(hit.places) == 0 {
			continue
		}
		more, err := l.yieldPlaces(ctx, hit.seg, hit.places, yield)
		if err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

func (l *Logs) yieldPlaces(ctx context.Context, seg segment, places []place, yield func(Event) bool) (more bool, err error) {
	f, err := l.openSegment(seg)
	if err != nil || f == nil {
		return true, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var line []byte
	for _, p := range places {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		line = slices.Grow(line[:0], p.length)[:p.length]
		if _, err := f.ReadAt(line, p.offset); err != nil {
			return false, fmt.Errorf("read log segment %s: %w", f.Name(), err)
		}
		if e, ok := decodeEvent(line); ok && !yield(e) {
			return false, nil
		}
	}
	return true, nil
}

// openSegment returns nil for a segment that was pruned meanwhile.
func (l *Logs) openSegment(seg segment) (*os.File, error) {
	f, err := os.Open(filepath.Join(l.files.dir, segmentName(seg.seq)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open log segment: %w", err)
	}
	return f, nil
}

// scan gives fn every whole line of seg from offset on, up to the size the
// snapshot knows, and returns where it stopped: after the last line fn took.
func (l *Logs) scan(ctx context.Context, seg segment, from int64, fn func(offset int64, line []byte) bool) (end int64, err error) {
	f, err := l.openSegment(seg)
	if err != nil || f == nil {
		return seg.size, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, seg.size-from), readBytes)
	offset := from
	var long []byte
	for n := 0; ; n++ {
		if n&0xff == 0 && ctx.Err() != nil {
			return offset, context.Cause(ctx)
		}
		line, whole, err := readLine(r, &long)
		if errors.Is(err, io.EOF) {
			return seg.size, nil // what is left is torn
		}
		if err != nil {
			return offset, fmt.Errorf("read log segment %s: %w", f.Name(), err)
		}
		start := offset
		offset += int64(whole)
		if line != nil && !fn(start, line) {
			return offset, nil
		}
	}
}

// readLine returns the next line without its newline and its full length in
// bytes. A line longer than any event is skipped: line is nil.
func readLine(r *bufio.Reader, long *[]byte) (line []byte, whole int, err error) {
	part, err := r.ReadSlice('\n')
	if err == nil {
		return part[:len(part)-1], len(part), nil
	}
	*long = (*long)[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		whole += len(part)
		if whole <= maxLine {
			*long = append(*long, part...)
		}
		part, err = r.ReadSlice('\n')
	}
	if err != nil {
		return nil, 0, err
	}
	whole += len(part)
	if whole > maxLine {
		return nil, whole, nil
	}
	*long = append(*long, part...)
	return (*long)[:len(*long)-1], whole, nil
}

// Follow yields the events f selects as they come, until ctx ends (nil), yield
// returns false (nil) or the log is closed (ErrLogsClosed). With f.Limit it
// yields the newest so many first, without a gap or a repetition after them.
//
// A follower that is slower than the log reads behind it from disk. When it
// falls behind so far that a segment is removed before it was read, it is told
// by a platform event in its place.
func (l *Logs) Follow(ctx context.Context, f Filter, yield func(Event) bool) error {
	if err := l.Sync(ctx); err != nil {
		return ignoreCancel(ctx, err)
	}
	list, _ := l.files.snapshot()
	at := segment{}
	if len(list) > 0 {
		at = list[len(list)-1] // its number and size are where the future begins
	}
	if f.Limit > 0 || !f.Since.IsZero() {
		more, err := l.query(ctx, list, f, yield)
		if err != nil || !more {
			return ignoreCancel(ctx, err)
		}
	}
	m := newMatcher(f)
	seq, offset := at.seq, at.size
	closed := false
	for {
		list, changed := l.files.snapshot()
		for _, seg := range list {
			switch {
			case seg.seq < seq:
				continue
			case seg.seq > seq:
				if seg.seq > seq+1 && !yield(lostEvent(seg.seq-seq-1)) {
					return nil
				}
				seq, offset = seg.seq, 0
			}
			more := true
			end, err := l.scan(ctx, seg, offset, func(_ int64, line []byte) bool {
				if m.matches(line) {
					if e, ok := decodeEvent(line); ok {
						more = yield(e)
					}
				}
				return more
			})
			if err != nil || !more {
				return ignoreCancel(ctx, err)
			}
			offset = end
		}
		if closed {
			return ErrLogsClosed
		}
		select {
		case <-changed:
		case <-l.stopped:
			closed = true // once more, for what Close wrote
		case <-ctx.Done():
			return nil
		}
	}
}

func lostEvent(count uint64) Event {
	return Event{
		Time: time.Now(), Kind: KindPlatform, Level: LevelWarn,
		Message: strconv.FormatUint(count, 10) + " segments of the log were removed before this reader came to them; read faster or raise the log's size",
	}
}

// ignoreCancel makes the end of a follower's context a normal end.
func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the reader ended it
	}
	return err
}
