package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/superfly/ltx"
)

// A transaction of more than largePages goes into a file of its own, and writeEvery
// bytes of records are written at a time.
const (
	largePages = 2048
	writeEvery = 1 << 20
)

// Transactions are left to gather for gatherFor, or up to gatherMany, unless somebody
// waits for them: the writer has the processor meanwhile, and the log has them all.
const (
	gatherFor  = 10 * time.Millisecond
	gatherMany = 512
)

// run records what was noted until the recorder is closed.
func (r *Recorder) run() {
	retry := time.NewTimer(0)
	defer retry.Stop()
	gather := time.NewTimer(gatherFor)
	gather.Stop()
	defer gather.Stop()
	gathering := false
	for {
		select {
		case <-r.quit:
			return
		case <-r.wake:
			if r.canWait() {
				if !gathering {
					gathering = true
					gather.Reset(gatherFor)
				}
				continue
			}
		case <-gather.C:
			gathering = false
		case <-retry.C:
		}
		err := r.drain()
		r.mu.Lock()
		news := (err == nil) != (r.failure == nil)
		r.failure = err
		r.mu.Unlock()
		switch {
		case err != nil:
			if news {
				r.o.Log.Error("transactions are not recorded for time travel; checkpoints wait", "database", r.o.Path, "error", err)
			}
			r.answer(err)
			retry.Reset(retryAfter)
		case news:
			r.o.Log.Info("transactions are recorded again", "database", r.o.Path)
		}
	}
}

// canWait reports whether nobody waits for what is noted, and it is not much.
func (r *Recorder) canWait() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiters) == 0 && r.pending == 0 && len(r.queue) < gatherMany
}

// drain records all that is noted and answers those who wait.
func (r *Recorder) drain() error {
	for {
		r.mu.Lock()
		batch := slices.Clone(r.queue)
		waits := len(r.waiters) > 0
		r.mu.Unlock()
		if len(batch) > 0 {
			if err := r.record(batch); errors.Is(err, errLost) {
				r.dropLost()
			} else if err != nil {
				return r.unsynced(err)
			}
			continue
		}
		if !waits {
			return nil
		}
		if err := r.folder.syncSegment(); err != nil {
			return r.unsynced(err)
		}
		r.answer(nil)
		return nil
	}
}

// unsynced sees to it that an epoch begins, with a snapshot, after records could not be
// synced: the log may not be emptied on their account.
func (r *Recorder) unsynced(err error) error {
	if errors.Is(err, errUnsynced) {
		r.mu.Lock()
		r.lost = true
		r.mu.Unlock()
	}
	return err
}

// answer tells those who wait; with nil, those alone whose transactions are recorded.
func (r *Recorder) answer(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		switch {
		case err != nil:
			w.done <- err
		case w.id > r.recorded:
			return false
		case r.lost:
			w.done <- errLost
		default:
			w.done <- nil
		}
		return true
	})
	if len(r.waiters) > 0 {
		r.wakeUp()
	}
}

// dropLost forgets the transactions that cannot be recorded any more: up to the next
// snapshot, or all.
func (r *Recorder) dropLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.queue, func(n note) bool { return n.snapshot })
	if r.lost = i < 0; r.lost {
		i = len(r.queue)
	}
	r.o.Log.Warn("another process emptied the log of a database: some of its transactions cannot be restored", "database", r.o.Path, "transactions", i)
	if i > 0 {
		r.recorded = r.queue[i-1].id
	}
	r.queue = r.queue[i:]
}

// record puts transactions into files, in order, and takes them off the queue as it
// goes.
func (r *Recorder) record(batch []note) error {
	b := &pendingRecords{}
	for i := range batch {
		n := &batch[i]
		if n.snapshot {
			if err := r.put(b); err != nil {
				return err
			}
			if err := r.snapshot(n); err != nil {
				return err
			}
			continue
		}
		if err := r.transaction(n, b); err != nil {
			// What is whole before it stays.
			return errors.Join(err, r.put(b))
		}
		if b.buf.Len() >= writeEvery {
			if err := r.put(b); err != nil {
				return err
			}
		}
	}
	return r.put(b)
}

// pendingRecords are records on their way into the segment.
type pendingRecords struct {
	buf     bytes.Buffer
	records []record
	pages   int
	pos     position // behind the last of them
	scratch []byte
	index   map[uint32]int
}

// put writes the pending records and takes their notes off the queue.
func (r *Recorder) put(b *pendingRecords) error {
	if len(b.records) == 0 {
		return nil
	}
	last := b.records[len(b.records)-1].id
	if err := r.folder.appendRecords(b.buf.Bytes(), b.records, b.pages); err != nil {
		return err
	}
	r.done(last, b.pos)
	b.buf.Reset()
	b.records, b.pages = b.records[:0], 0
	if !r.folder.active.full() {
		return nil
	}
	return r.seal()
}

func (r *Recorder) seal() error {
	if err := r.folder.seal(); err != nil {
		return err
	}
	select {
	case r.work <- struct{}{}:
	default:
	}
	return nil
}

// done notes that all up to id are in files.
func (r *Recorder) done(id TXID, pos position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded, r.pos = id, pos
	for len(r.queue) > 0 && r.queue[0].id <= id {
		if r.queue[0].snapshot {
			r.pending--
		}
		r.queue = r.queue[1:]
	}
}

// transaction reads one transaction from the log into b.
func (r *Recorder) transaction(n *note, b *pendingRecords) error {
	pos := b.pos
	if len(b.records) == 0 {
		r.mu.Lock()
		pos = r.pos
		r.mu.Unlock()
	}
	h, pos, err := r.locate(n, pos)
	if err != nil {
		return err
	}
	pages, commit, err := r.frames(&h, pos.frame, n.end, b)
	if err != nil {
		return err
	}
	head := header(n.id, n.id, n.at, h.pageSize, commit)
	head.WALOffset, head.WALSize = h.offset(pos.frame), int64(n.end-pos.frame)*h.frameSize()
	head.WALSalt1, head.WALSalt2 = uint32(h.salt>>32), uint32(h.salt) //nolint:gosec // its halves
	pages = fill(pages, pos.commit, commit, ltx.LockPgno(h.pageSize))
	pos = position{salt: h.salt, frame: n.end, commit: commit}
	if len(pages) > largePages {
		if err := r.put(b); err != nil {
			return err
		}
		return r.large(n, head, pages, &h, pos)
	}
	from := b.buf.Len()
	b.buf.Write(make([]byte, recordPrefix))
	if err := r.encode(&b.buf, head, pages, &h, b.scratch); err != nil {
		b.buf.Truncate(from)
		return err
	}
	setPrefix(&b.buf, from)
	b.records = append(b.records, recordOf(&head, int64(from), int64(b.buf.Len()-from)))
	b.pages += len(pages)
	b.pos = pos
	return nil
}

// locate finds where in the log the transaction begins.
func (r *Recorder) locate(n *note, pos position) (walHeader, position, error) {
	if r.wal == nil {
		f, exists, err := openWAL(r.o.Path)
		if err != nil {
			return walHeader{}, pos, err
		}
		if !exists {
			return walHeader{}, pos, errLost
		}
		r.wal = f
	}
	h, ok, err := readWALHeader(r.wal)
	switch {
	case err != nil:
		return h, pos, err
	case !ok:
		return h, pos, errLost
	case h.salt != pos.salt && pos.renewable:
		pos.frame = 0
	case h.salt != pos.salt:
		return h, pos, errLost
	}
	if n.end <= pos.frame {
		return h, pos, errLost
	}
	return h, pos, nil
}

// pageAt is a page and the frame that has it, or -1 for one that nobody wrote.
type pageAt struct {
	pgno  uint32
	frame int
	at    int // in the scratch buffer, behind the frame's header; -1 when it is not there
}

// scratchFrames is how many frames are read at once, in bytes about 4 MB.
const scratchFrames = 1024

// frames lists the pages of the frames from up to end, each once and in order, and how
// many the database has then.
func (r *Recorder) frames(h *walHeader, from, end int, b *pendingRecords) (pages []pageAt, commit uint32, err error) {
	size := int(h.frameSize())
	if b.index == nil {
		b.index = make(map[uint32]int)
	}
	clear(b.index)
	for i := from; i < end; i += scratchFrames {
		count := min(scratchFrames, end-i)
		if cap(b.scratch) < count*size {
			b.scratch = make([]byte, count*size)
		}
		b.scratch = b.scratch[:count*size]
		if _, err := r.wal.ReadAt(b.scratch, h.offset(i)); errors.Is(err, io.EOF) {
			return nil, 0, errLost
		} else if err != nil {
			return nil, 0, fmt.Errorf("history: read the log: %w", err)
		}
		for k := range count {
			f := parseFrame(b.scratch[k*size:])
			if f.salt != h.salt || f.pgno == 0 {
				return nil, 0, errLost
			}
			commit = f.commit
			p := pageAt{pgno: f.pgno, frame: i + k, at: -1}
			if end-from <= scratchFrames {
				p.at = k*size + frameHeaderSize
			}
			if at, again := b.index[f.pgno]; again {
				pages[at] = p
				continue
			}
			b.index[f.pgno] = len(pages)
			pages = append(pages, p)
		}
	}
	if commit == 0 {
		return nil, 0, errLost
	}
	pages = slices.DeleteFunc(pages, func(p pageAt) bool { return p.pgno > commit })
	slices.SortFunc(pages, func(a, b pageAt) int { return int(a.pgno) - int(b.pgno) })
	return pages, commit, nil
}

// fill adds the pages by which the database grew without writing them: free ones,
// whose content does not matter but which a snapshot must have.
func fill(pages []pageAt, before, after, lock uint32) []pageAt {
	if after <= before {
		return pages
	}
	i, _ := slices.BinarySearchFunc(pages, before+1, func(p pageAt, n uint32) int { return int(p.pgno) - int(n) })
	if grown := int(after - before); len(pages)-i == grown {
		return pages // as nearly always
	}
	out := slices.Clone(pages[:i])
	for n := before + 1; n <= after; n++ {
		switch {
		case i < len(pages) && pages[i].pgno == n:
			out = append(out, pages[i])
			i++
		case n != lock:
			out = append(out, pageAt{pgno: n, frame: -1, at: -1})
		}
	}
	return out
}

// encode writes the LTX file of pages that are in the log.
func (r *Recorder) encode(w io.Writer, head ltx.Header, pages []pageAt, h *walHeader, scratch []byte) error {
	enc, err := newEncoder(w, head)
	if err != nil {
		return err
	}
	var page []byte // of those that are not in the scratch buffer
	for _, p := range pages {
		if p.at >= 0 {
			if err := enc.put(p.pgno, scratch[p.at:p.at+int(h.pageSize)]); err != nil {
				return err
			}
			continue
		}
		if page == nil {
			page = make([]byte, h.pageSize)
		}
		data := page
		if p.frame < 0 {
			clear(page)
		} else {
			if _, err := r.wal.ReadAt(page, h.offset(p.frame)+frameHeaderSize); err != nil {
				return fmt.Errorf("history: read the log: %w", err)
			}
		}
		if err := enc.put(p.pgno, data); err != nil {
			return err
		}
	}
	return enc.end()
}

// large puts one transaction into a file of its own.
func (r *Recorder) large(n *note, head ltx.Header, pages []pageAt, h *walHeader, pos position) error {
	if err := r.seal(); err != nil {
		return err
	}
	f := File{Level: LevelSingle, Min: n.id, Max: n.id, First: n.at, Last: n.at}
	if err := r.folder.Create(f, func(w io.Writer) error { return r.encode(w, head, pages, h, nil) }); err != nil {
		return err
	}
	r.done(n.id, pos)
	return nil
}
