package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Materialise writes the database as it was after transaction id into out, which is
// empty. It is a file of its own, in no need of a log beside it. Report, unless nil, is
// called after each file with the bytes read so far and in all.
func Materialise(ctx context.Context, src Source, id TXID, out *os.File, report func(done, total int64)) error {
	files, err := src.Files(ctx)
	if err != nil {
		return err
	}
	steps, err := plan(files, id)
	if err != nil {
		return err
	}
	var done, total int64
	for _, s := range steps {
		total += s.Size
	}
	w := &pageWriter{ctx: ctx, out: out}
	for i := range steps {
		if err := applyStep(ctx, src, &steps[i], w); err != nil {
			return fmt.Errorf("%s: %w", steps[i].Name(), err)
		}
		if done += steps[i].Size; report != nil {
			report(done, total)
		}
	}
	return w.finish()
}

func applyStep(ctx context.Context, src Source, s *step, w pageSink) (err error) {
	in, err := src.Open(ctx, s.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if s.Level == LevelRecords {
		return decodeRecords(in, s.from, s.to, w)
	}
	return decode(bufio.NewReaderSize(in, 1<<20), s.Min, s.Max, w)
}

// pageWriter puts pages into a database file. Pages that follow one another are
// written together.
type pageWriter struct {
	ctx      context.Context //nolint:containedctx // of one call
	out      io.WriterAt
	pageSize uint32
	commit   uint32
	buf      []byte
	at       uint32 // the page that buf begins with
}

func (w *pageWriter) begin(pageSize, commit uint32) error {
	if w.pageSize != 0 && w.pageSize != pageSize {
		return fmt.Errorf("history: %w: pages of %d and of %d bytes", ErrDamaged, w.pageSize, pageSize)
	}
	w.pageSize, w.commit = pageSize, commit
	return context.Cause(w.ctx)
}

func (w *pageWriter) page(pgno uint32, data []byte) error {
	const together = 1 << 20                                                                    // bytes
	if len(w.buf) >= together || len(w.buf) > 0 && pgno != w.at+uint32(len(w.buf))/w.pageSize { //nolint:gosec // within together
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.buf) == 0 {
		w.at = pgno
	}
	w.buf = append(w.buf, data...)
	return nil
}

func (w *pageWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.out.WriteAt(w.buf, int64(w.at-1)*int64(w.pageSize))
	w.buf = w.buf[:0]
	if err != nil {
		return fmt.Errorf("history: write the restored file: %w", err)
	}
	return context.Cause(w.ctx)
}

// finish cuts the file to its size and says in its header that there is no log beside
// it: the two version numbers (https://sqlite.org/fileformat2.html, 1.3.3).
func (w *pageWriter) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	if f, ok := w.out.(*os.File); ok {
		if err := f.Truncate(int64(w.commit) * int64(w.pageSize)); err != nil {
			return fmt.Errorf("history: write the restored file: %w", err)
		}
	}
	if _, err := w.out.WriteAt([]byte{1, 1}, 18); err != nil {
		return fmt.Errorf("history: write the restored file: %w", err)
	}
	return nil
}
