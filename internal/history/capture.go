package history

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"
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
	b := buffers.Get().(*pendingRecords) //nolint:forcetypeassert,errcheck // nothing else is put there
	defer buffers.Put(b)
	b.reset()
	for i := range batch {
		n := &batch[i]
		if n.snapshot {
			if err := r.put(b); err != nil {
				return err
			}
			if err := r.snapshot(n); err != nil {
				return err
			}
			b.reset()
			continue
		}
		if b.ahead == 0 {
			b.ahead = endOfRun(batch[i:])
		}
		if err := r.transaction(n, b); err != nil {
			// What is whole before it stays.
			return errors.Join(err, r.put(b))
		}
		if len(b.buf) >= writeEvery {
			if err := r.put(b); err != nil {
				return err
			}
		}
	}
	return r.put(b)
}

// endOfRun returns the last frame of the transactions up to the next snapshot.
func endOfRun(batch []note) int {
	if i := slices.IndexFunc(batch, func(n note) bool { return n.snapshot }); i >= 0 {
		batch = batch[:i]
	}
	return batch[len(batch)-1].end
}

// pendingRecords are records on their way into the segment, and the part of the log
// that they are made from.
type pendingRecords struct {
	enc     recordEncoder
	buf     []byte
	records []record
	pages   int
	pos     position // behind the last of them
	h       walHeader
	ahead   int // frames that may be read together, counted from the log's beginning; 0 before h is read
	window  []byte
	from    int // of the frames in window
	to      int
	one     []byte // a frame from elsewhere
	list    []pageAt
}

// buffers are pendingRecords, about 2 MB each, of which only busy databases need one.
//
//nolint:gochecknoglobals // shared by all recorders
var buffers = sync.Pool{New: func() any { return new(pendingRecords) }}

func (b *pendingRecords) reset() {
	b.buf, b.records, b.pages = b.buf[:0], b.records[:0], 0
	b.pos, b.h, b.ahead, b.from, b.to = position{}, walHeader{}, 0, 0, 0
}

// next returns a frame of the log, header first, and reads those behind it as well.
func (b *pendingRecords) next(wal io.ReaderAt, i int) ([]byte, error) {
	if i < b.from || i >= b.to {
		b.from, b.to = 0, 0
		n := min(windowBytes/int(b.h.frameSize()), max(b.ahead, i+1)-i)
		var err error
		if b.window, err = b.h.read(wal, i, n, b.window); err != nil {
			return nil, err
		}
		b.from, b.to = i, i+n
	}
	return b.frame(wal, i)
}

// frame returns a frame from anywhere in the log.
func (b *pendingRecords) frame(wal io.ReaderAt, i int) (data []byte, err error) {
	if i >= b.from && i < b.to {
		size := int(b.h.frameSize())
		return b.window[(i-b.from)*size:][:size], nil
	}
	b.one, err = b.h.read(wal, i, 1, b.one)
	return b.one, err
}

// put writes the pending records and takes their notes off the queue.
func (r *Recorder) put(b *pendingRecords) error {
	if len(b.records) == 0 {
		return nil
	}
	last := b.records[len(b.records)-1].id
	if err := r.folder.appendRecords(b.buf, b.records, b.pages); err != nil {
		return err
	}
	r.done(last, b.pos)
	b.buf, b.records, b.pages = b.buf[:0], b.records[:0], 0
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
	pos, err := r.locate(n, pos, b)
	if err != nil {
		return err
	}
	pages, commit, err := r.frames(pos.frame, n.end, b)
	if err != nil {
		return err
	}
	h := &b.h
	head := header(n.id, n.id, n.at, h.pageSize, commit)
	head.WALOffset, head.WALSize = h.offset(pos.frame), int64(n.end-pos.frame)*h.frameSize()
	head.WALSalt1, head.WALSalt2 = uint32(h.salt>>32), uint32(h.salt) //nolint:gosec // its halves
	pages = fill(pages, pos.commit, commit, ltx.LockPgno(h.pageSize))
	pos = position{salt: h.salt, frame: n.end, commit: commit}
	if len(pages) > largePages {
		if err := r.put(b); err != nil {
			return err
		}
		return r.large(n, head, pages, b, pos)
	}
	from := len(b.buf)
	if err := b.enc.begin(append(b.buf, make([]byte, recordPrefix)...), head); err != nil {
		return err
	}
	if err := r.eachPage(pages, b, b.enc.put); err != nil {
		return err
	}
	b.buf = b.enc.end()
	setPrefix(b.buf, from)
	b.records = append(b.records, recordOf(&head, int64(from), int64(len(b.buf)-from)))
	b.pages += len(pages)
	b.pos = pos
	return nil
}

// locate finds where in the log the transaction begins. The log's header is read once
// for a batch: it changes only when the log begins anew, which it does not before all
// that is noted is recorded, and when another process did that, the frames tell.
func (r *Recorder) locate(n *note, pos position, b *pendingRecords) (position, error) {
	if r.wal == nil {
		f, exists, err := openWAL(r.o.Path)
		if err != nil {
			return pos, err
		}
		if !exists {
			return pos, errLost
		}
		r.wal = f
	}
	if b.h.pageSize == 0 {
		h, ok, err := readWALHeader(r.wal)
		if err != nil {
			return pos, err
		}
		if !ok {
			return pos, errLost
		}
		b.h = h
	}
	switch {
	case b.h.salt != pos.salt && pos.renewable:
		pos.frame = 0
	case b.h.salt != pos.salt:
		return pos, errLost
	}
	if n.end <= pos.frame {
		return pos, errLost
	}
	return pos, nil
}

// pageAt is a page and the frame that has it, or -1 for one that nobody wrote.
type pageAt struct {
	pgno  uint32
	frame int
}

// windowBytes of the log are read at once.
const windowBytes = 1 << 20

// frames lists the pages of the frames from up to end, each once and in order, and how
// many the database has then. The list is good until the next call.
func (r *Recorder) frames(from, end int, b *pendingRecords) (pages []pageAt, commit uint32, err error) {
	pages = b.list[:0]
	for i := from; i < end; i++ {
		data, err := b.next(r.wal, i)
		if err != nil {
			return nil, 0, err
		}
		f := parseFrame(data)
		if f.salt != b.h.salt || f.pgno == 0 {
			return nil, 0, errLost
		}
		commit = f.commit
		pages = append(pages, pageAt{pgno: f.pgno, frame: i})
	}
	b.list = pages
	if commit == 0 {
		return nil, 0, errLost
	}
	slices.SortFunc(pages, func(a, b pageAt) int { // of a page's frames, the last one first
		return cmp.Or(cmp.Compare(a.pgno, b.pgno), b.frame-a.frame)
	})
	pages = slices.CompactFunc(pages, func(a, b pageAt) bool { return a.pgno == b.pgno })
	for len(pages) > 0 && pages[len(pages)-1].pgno > commit {
		pages = pages[:len(pages)-1]
	}
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
			out = append(out, pageAt{pgno: n, frame: -1})
		}
	}
	return out
}

// eachPage hands over the content of pages that are in the log.
func (r *Recorder) eachPage(pages []pageAt, b *pendingRecords, put func(pgno uint32, data []byte) error) error {
	var zero []byte
	for _, p := range pages {
		var data []byte
		if p.frame < 0 {
			if zero == nil {
				zero = make([]byte, b.h.pageSize)
			}
			data = zero
		} else {
			f, err := b.frame(r.wal, p.frame)
			if err != nil {
				return err
			}
			data = f[frameHeaderSize:]
		}
		if err := put(p.pgno, data); err != nil {
			return err
		}
	}
	return nil
}

// large puts one transaction into a file of its own.
func (r *Recorder) large(n *note, head ltx.Header, pages []pageAt, b *pendingRecords, pos position) error {
	if err := r.seal(); err != nil {
		return err
	}
	f := File{Level: LevelSingle, Min: n.id, Max: n.id, First: n.at, Last: n.at}
	err := r.folder.Create(f, func(w io.Writer) error {
		enc, err := newEncoder(w, head)
		if err != nil {
			return err
		}
		if err := r.eachPage(pages, b, enc.put); err != nil {
			return err
		}
		return enc.end()
	})
	if err != nil {
		return err
	}
	r.done(n.id, pos)
	return nil
}
