package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/superfly/ltx"
)

// snapshot writes the file that an epoch begins with: the database file, and over it
// what the log had when the state was pinned.
func (r *Recorder) snapshot(n *note) error {
	if err := r.seal(); err != nil { // records of two epochs do not share a segment
		return err
	}
	if r.wal != nil { // another file may have taken its place
		if err := r.wal.Close(); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		r.wal = nil
	}
	v, err := r.viewAt(r.db, n)
	if err != nil {
		return err
	}
	head := header(1, n.id, n.at, v.pageSize, v.commit)
	if n.end > 0 {
		head.WALOffset, head.WALSize = walHeaderSize, int64(n.end)*(frameHeaderSize+int64(v.pageSize))
		head.WALSalt1, head.WALSalt2 = uint32(n.salt>>32), uint32(n.salt) //nolint:gosec // its halves
	}
	f := File{Level: LevelSnapshot, Min: n.id, Max: n.id, First: n.at, Last: n.at}
	if err := r.folder.Create(f, func(w io.Writer) error { return v.write(w, head) }); err != nil {
		return err
	}
	n.release()
	r.done(n.id, position{salt: n.salt, frame: n.end, commit: v.commit, renewable: n.end == 0})
	if n.end == 0 {
		return r.noteClean(n.id)
	}
	return nil
}

// view is a state of the database: its file with frames of the log over it.
type view struct {
	db       *os.File
	wal      *os.File
	h        walHeader
	newer    map[uint32]int // frames of pages
	pageSize uint32
	commit   uint32
}

func (r *Recorder) viewAt(db *os.File, n *note) (*view, error) {
	v := &view{db: db, newer: make(map[uint32]int)}
	if n.end == 0 {
		var b [100]byte // https://sqlite.org/fileformat2.html#the_database_header
		if _, err := db.ReadAt(b[:], 0); err != nil {
			return nil, fmt.Errorf("history: read the database's header: %w", err)
		}
		if v.pageSize = uint32(binary.BigEndian.Uint16(b[16:])); v.pageSize == 1 {
			v.pageSize = 65536
		}
		info, err := db.Stat()
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if !validPageSize(v.pageSize) || info.Size()%int64(v.pageSize) != 0 {
			return nil, fmt.Errorf("history: %s is no whole SQLite file: %d bytes in pages of %d", db.Name(), info.Size(), v.pageSize)
		}
		v.commit = uint32(info.Size() / int64(v.pageSize)) //nolint:gosec // SQLite has at most 2^32-2 pages
		return v, nil
	}
	wal, exists, err := openWAL(r.o.Path)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, errLost
	}
	r.wal = wal
	h, ok, err := readWALHeader(wal)
	if err != nil {
		return nil, err
	}
	if !ok || h.salt != n.salt {
		return nil, errLost
	}
	v.wal, v.h, v.pageSize = wal, h, h.pageSize
	var b [frameHeaderSize]byte
	for i := range n.end {
		if _, err := wal.ReadAt(b[:], h.offset(i)); err != nil {
			return nil, fmt.Errorf("history: read the log: %w", err)
		}
		f := parseFrame(b[:])
		v.newer[f.pgno], v.commit = i, f.commit
	}
	return v, nil
}

// write writes all pages in order.
func (v *view) write(w io.Writer, head ltx.Header) error {
	enc, err := newEncoder(w, head)
	if err != nil {
		return err
	}
	const together = 256 // pages that are read at once
	buf := make([]byte, together*int(v.pageSize))
	for first := uint32(1); first <= v.commit; first += together {
		clear(buf) // the file may be shorter: what is missing is in the log, or free
		if _, err := v.db.ReadAt(buf, int64(first-1)*int64(v.pageSize)); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("history: read the database: %w", err)
		}
		for k := uint32(0); k < together && first+k <= v.commit; k++ {
			page := buf[int(k)*int(v.pageSize):][:v.pageSize]
			if i, ok := v.newer[first+k]; ok {
				if _, err := v.wal.ReadAt(page, v.h.offset(i)+frameHeaderSize); err != nil {
					return fmt.Errorf("history: read the log: %w", err)
				}
			}
			if err := enc.put(first+k, page); err != nil {
				return err
			}
		}
	}
	return enc.end()
}
