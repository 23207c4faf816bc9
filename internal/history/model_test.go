package history

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

const modelPage = 512

// model is a database that commits random pages, with the files that SQLite would have
// written: the history sees nothing else.
type model struct {
	t      *testing.T
	rnd    *rand.Rand
	dir    string
	wal    *os.File
	h      walHeader
	sum    [2]uint32
	frames int
	pages  uint32
	data   map[uint32][]byte
	rec    *Recorder
	states map[TXID][]byte
}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), data: make(map[uint32][]byte), states: make(map[TXID][]byte)}
	m.pages = 3
	for n := uint32(1); n <= m.pages; n++ {
		m.data[n] = m.page(n)
	}
	m.must(os.WriteFile(m.path(), m.image(), 0o600))
	m.newLog()
	return m
}

func (m *model) path() string { return filepath.Join(m.dir, "db.sqlite") }

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) page(n uint32) []byte {
	b := make([]byte, modelPage)
	for i := range b[:m.rnd.IntN(modelPage)] {
		b[i] = byte(m.rnd.IntN(9))
	}
	if n == 1 {
		copy(b, "SQLite format 3\x00")
		binary.BigEndian.PutUint16(b[16:], modelPage)
		b[18], b[19] = 1, 1 // as a restored file says it
	}
	return b
}

// image is the whole database. A page that nobody wrote is zero.
func (m *model) image() []byte {
	b := make([]byte, int(m.pages)*modelPage)
	for n, p := range m.data {
		copy(b[int(n-1)*modelPage:], p)
	}
	return b
}

// newLog begins the log anew, as the first write after a checkpoint does.
func (m *model) newLog() {
	if m.wal == nil {
		f, err := os.Create(m.path() + "-wal")
		m.must(err)
		m.t.Cleanup(func() { _ = f.Close() })
		m.wal = f
	}
	var b [walHeaderSize]byte
	binary.BigEndian.PutUint32(b[:], walMagic)
	binary.BigEndian.PutUint32(b[4:], 3007000)
	binary.BigEndian.PutUint32(b[8:], modelPage)
	binary.BigEndian.PutUint64(b[16:], m.rnd.Uint64())
	m.h = walHeader{pageSize: modelPage, salt: binary.BigEndian.Uint64(b[16:]), order: binary.LittleEndian}
	m.sum = m.h.checksum([2]uint32{}, b[:24])
	m.h.sum = m.sum
	binary.BigEndian.PutUint32(b[24:], m.sum[0])
	binary.BigEndian.PutUint32(b[28:], m.sum[1])
	_, err := m.wal.WriteAt(b[:], 0)
	m.must(err)
	m.frames = 0
}

func (m *model) frame(n, commit uint32) {
	b := make([]byte, frameHeaderSize, frameHeaderSize+modelPage)
	binary.BigEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], commit)
	binary.BigEndian.PutUint64(b[8:], m.h.salt)
	m.sum = m.h.checksum(m.h.checksum(m.sum, b[:8]), m.data[n])
	binary.BigEndian.PutUint32(b[16:], m.sum[0])
	binary.BigEndian.PutUint32(b[20:], m.sum[1])
	_, err := m.wal.WriteAt(append(b, m.data[n]...), m.h.offset(m.frames))
	m.must(err)
	m.frames++
}

// commit writes some pages, a page twice now and then, and changes the size.
func (m *model) commit() {
	switch m.rnd.IntN(8) {
	case 0:
		m.pages += uint32(m.rnd.IntN(5))
	case 1:
		m.pages = max(2, m.pages-uint32(m.rnd.IntN(3)))
		maps.DeleteFunc(m.data, func(n uint32, _ []byte) bool { return n > m.pages })
	}
	count := 1 + m.rnd.IntN(6)
	if m.rnd.IntN(60) == 0 {
		m.pages = max(m.pages, largePages+100) // large enough for a file of its own
		count = largePages + m.rnd.IntN(80)
	}
	for i := range count {
		n := 1 + m.rnd.Uint32N(m.pages)
		m.data[n] = m.page(n)
		commit := uint32(0)
		if i == count-1 {
			commit = m.pages
		}
		m.frame(n, commit)
	}
	m.states[m.rec.Commit(m.frames)] = m.image()
}

// checkpoint moves the log into the file.
func (m *model) checkpoint() {
	m.must(m.rec.Flush(m.t.Context()))
	m.must(os.WriteFile(m.path(), m.image(), 0o600))
	m.must(m.rec.Checkpointed())
	m.newLog()
}

func (m *model) start() {
	m.t.Helper()
	rec, err := Start(Options{
		Path: m.path(), Dir: filepath.Join(m.dir, "history"), FS: fsx.FS{}, Retention: time.Hour, Epoch: 1,
		Pin: func() (func(), error) { return func() {}, nil },
	})
	m.must(err)
	m.rec = rec
}

// check restores the state after a transaction and compares every byte.
func (m *model) check(id TXID) {
	m.t.Helper()
	out, err := os.Create(filepath.Join(m.dir, "restored"))
	m.must(err)
	defer func() { m.must(out.Close()) }()
	m.must(m.rec.Materialise(m.t.Context(), id, out))
	got, err := os.ReadFile(out.Name())
	m.must(err)
	if !bytes.Equal(got, m.states[id]) {
		m.t.Fatalf("the state after %x is not what it was: %d bytes, wanted %d", uint64(id), len(got), len(m.states[id]))
	}
}

// Whatever is committed, checkpointed, merged and begun again, every transaction can be
// had back, byte for byte.
func TestEveryTransactionComesBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		m := newModel(t, seed)
		m.start()
		for range 400 {
			switch m.rnd.IntN(40) {
			case 0:
				m.checkpoint()
			case 1: // the platform ends; the log keeps what was not recorded
				m.must(m.rec.Close())
				m.start()
			case 2:
				m.must(m.rec.Flush(t.Context()))
				m.must(m.rec.Merge(t.Context()))
			default:
				m.commit()
			}
		}
		m.must(m.rec.Flush(t.Context()))
		if m.rec.Last().Epoch() != 1 {
			t.Errorf("seed %d: epoch %d began, though nobody else wrote", seed, m.rec.Last().Epoch())
		}
		ids := make([]TXID, 0, len(m.states))
		for id := range m.states {
			ids = append(ids, id)
		}
		for range 60 {
			m.check(ids[m.rnd.IntN(len(ids))])
		}
		m.check(m.rec.Last())
		m.must(m.rec.Close())
	}
}

// A log that another process emptied is told from one that goes on: what was lost is
// said, and an epoch begins.
func TestLogEmptiedFromOutside(t *testing.T) {
	t.Parallel()
	m := newModel(t, 7)
	m.start()
	m.commit()
	m.must(m.rec.Flush(t.Context()))
	m.newLog() // with another salt, and no checkpoint of ours
	m.commit()
	if err := m.rec.Flush(t.Context()); err == nil {
		t.Error("a transaction of a log that began anew behind our back was recorded")
	}
	if !m.rec.Lost() {
		t.Error("the loss is not known")
	}
	m.must(m.rec.BeginEpoch())
	m.must(m.rec.Flush(t.Context()))
	if m.rec.Last().Epoch() != 2 {
		t.Errorf("epoch %d, wanted the second", m.rec.Last().Epoch())
	}
	m.must(m.rec.Close())
}

// A torn end of the growing segment is cut off, and recorded again from the log.
func TestTornSegment(t *testing.T) {
	t.Parallel()
	for _, cut := range []int64{1, 9, 60, 200} {
		m := newModel(t, uint64(cut))
		m.start()
		for range 30 {
			m.commit()
		}
		m.must(m.rec.Flush(t.Context()))
		last := m.rec.Last()
		m.must(m.rec.Close())
		active := filepath.Join(m.dir, "history", activeName)
		info, err := os.Stat(active)
		m.must(err)
		if info.Size() <= cut {
			continue // the last transaction was large
		}
		m.must(os.Truncate(active, info.Size()-cut))
		m.start()
		m.must(m.rec.Flush(t.Context()))
		if m.rec.Last() != last {
			t.Errorf("cut by %d: the last transaction is %x, wanted %x", cut, uint64(m.rec.Last()), uint64(last))
		}
		m.check(last)
		m.must(m.rec.Close())
	}
}
