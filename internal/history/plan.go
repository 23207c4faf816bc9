package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// step is a file of which the transactions up to a number are applied.
type step struct {
	File

	from, to TXID // of a segment
}

// plan finds the files that make the state after transaction id: the last snapshot
// before it, and the largest files that follow one another from there.
func plan(files []File, id TXID) ([]step, error) {
	base := -1
	for i, f := range files {
		if f.Level == LevelSnapshot && f.Max <= id {
			base = i // they are in order
		}
	}
	if base < 0 {
		return nil, rangeError(files, id)
	}
	steps := []step{{File: files[base]}}
	for at := files[base].Max; at < id; {
		best := step{}
		for _, f := range files {
			switch {
			case f.Level == LevelSnapshot:
			case f.Level == LevelRecords && f.Min <= at+1 && f.Max > at:
				if to := min(f.Max, id); to > best.to || to == best.to && f.Level > best.Level {
					best = step{File: f, from: at + 1, to: to}
				}
			case f.Level > LevelRecords && f.Min == at+1 && f.Max <= id:
				if f.Max > best.to || f.Max == best.to && f.Level > best.Level {
					best = step{File: f, to: f.Max}
				}
			}
		}
		if best.to == 0 {
			return nil, rangeError(files, id)
		}
		steps = append(steps, best)
		at = best.to
	}
	return steps, nil
}

// rangeError says what there is instead of transaction id.
func rangeError(files []File, id TXID) *RangeError {
	e := &RangeError{ID: id}
	if len(files) > 0 {
		e.From, e.To = oldest(files).Last, files[len(files)-1].Last
		e.Gap = id > oldest(files).Max && id < files[len(files)-1].Max
	}
	return e
}

// oldest returns the first snapshot.
func oldest(files []File) File {
	for _, f := range files {
		if f.Level == LevelSnapshot {
			return f
		}
	}
	return File{}
}

// At finds the last transaction that was committed at that time or before.
func At(ctx context.Context, src Source, at time.Time) (TXID, error) {
	files, err := src.Files(ctx)
	if err != nil {
		return 0, err
	}
	first := oldest(files)
	if first.Max == 0 || at.Before(first.Last) {
		e := rangeError(files, 0)
		e.At = at
		return 0, e
	}
	var found File
	for _, f := range files {
		if (f.exact() || f.Level == LevelSnapshot) && !f.First.After(at) && f.Max >= found.Max && (f.Max > found.Max || !f.Last.After(found.Last)) {
			found = f
		}
	}
	if !found.Last.After(at) {
		return found.Max, nil
	}
	id := found.Min
	err = eachIn(ctx, src, found, func(r record) error {
		if !r.at.After(at) {
			id = r.id
		}
		return nil
	})
	return id, err
}

// eachIn reads the headers of the records of a segment.
func eachIn(ctx context.Context, src Source, f File, fn func(record) error) (err error) {
	in, err := src.Open(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	b, err := io.ReadAll(io.LimitReader(in, maxRecord))
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	end, err := eachRecord(bytesAt(b), int64(len(b)), nil, fn)
	if err == nil && end != f.Size {
		err = fmt.Errorf("history: %s: %w", f.Name(), ErrDamaged)
	}
	return err
}

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Needed lists the files from which the state after transaction id can be made.
func Needed(ctx context.Context, src Source, id TXID) ([]File, error) {
	files, err := src.Files(ctx)
	if err != nil {
		return nil, err
	}
	steps, err := plan(files, id)
	if err != nil {
		return nil, err
	}
	out := make([]File, len(steps))
	for i := range steps {
		out[i] = steps[i].File
	}
	slices.SortFunc(out, File.before)
	return out, nil
}
