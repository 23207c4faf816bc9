package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// The write-ahead log's format: https://sqlite.org/fileformat2.html#walformat.
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
	walMagic        = 0x377f0682 // the last bit says in which byte order checksums are computed
)

// walHeader is the beginning of a write-ahead log.
type walHeader struct {
	pageSize uint32
	salt     uint64 // in every frame; another one each time the log begins anew
	order    binary.ByteOrder
	sum      [2]uint32
}

// readWALHeader returns the header, or false when the log holds none: it is empty,
// or its first write did not get through.
func readWALHeader(f io.ReaderAt) (walHeader, bool, error) {
	var b [walHeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); errors.Is(err, io.EOF) {
		return walHeader{}, false, nil
	} else if err != nil {
		return walHeader{}, false, fmt.Errorf("history: read the log: %w", err)
	}
	magic := binary.BigEndian.Uint32(b[:])
	h := walHeader{pageSize: binary.BigEndian.Uint32(b[8:]), salt: binary.BigEndian.Uint64(b[16:]), order: binary.LittleEndian}
	if magic&1 != 0 {
		h.order = binary.BigEndian
	}
	if magic&^1 != walMagic || !validPageSize(h.pageSize) {
		return walHeader{}, false, nil
	}
	h.sum = h.checksum([2]uint32{}, b[:24])
	return h, h.sum == [2]uint32{binary.BigEndian.Uint32(b[24:]), binary.BigEndian.Uint32(b[28:])}, nil
}

func validPageSize(n uint32) bool { return n >= 512 && n <= 65536 && n&(n-1) == 0 }

// checksum continues the log's checksum over b, whose length is a multiple of 8.
func (h *walHeader) checksum(s [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += h.order.Uint32(b) + s[1]
		s[1] += h.order.Uint32(b[4:]) + s[0]
	}
	return s
}

func (h *walHeader) frameSize() int64 { return frameHeaderSize + int64(h.pageSize) }

// offset is where the frame of that index begins; frame i ends where i+1 begins.
func (h *walHeader) offset(frame int) int64 { return walHeaderSize + int64(frame)*h.frameSize() }

// read returns n frames from i on, in buf if that is large enough. A log that ends
// before them is not the one they were written to.
func (h *walHeader) read(f io.ReaderAt, i, n int, buf []byte) ([]byte, error) {
	size := n * int(h.frameSize())
	buf = slices.Grow(buf[:0], size)[:size]
	if _, err := f.ReadAt(buf, h.offset(i)); errors.Is(err, io.EOF) {
		return buf, errLost
	} else if err != nil {
		return buf, fmt.Errorf("history: read the log: %w", err)
	}
	return buf, nil
}

// frame is the header of one frame.
type frame struct {
	pgno   uint32
	commit uint32 // pages of the database after the transaction that ends here; 0 in the middle
	salt   uint64
	sum    [2]uint32
}

func parseFrame(b []byte) frame {
	return frame{
		pgno: binary.BigEndian.Uint32(b), commit: binary.BigEndian.Uint32(b[4:]), salt: binary.BigEndian.Uint64(b[8:]),
		sum: [2]uint32{binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])},
	}
}

// scan calls fn for each transaction in the log whose frames lie behind the first
// from, as SQLite finds them after a crash: frames count as long as their salt and
// their checksum are right, and up to the last that ends a transaction.
func (h *walHeader) scan(f io.ReaderAt, from int, fn func(end int) error) error {
	sum := h.sum
	buf := make([]byte, h.frameSize())
	if from > 0 {
		if _, err := f.ReadAt(buf[:frameHeaderSize], h.offset(from-1)); err != nil {
			return fmt.Errorf("history: read the log: %w", err)
		}
		sum = parseFrame(buf).sum
	}
	for i := from; ; i++ {
		if _, err := f.ReadAt(buf, h.offset(i)); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("history: read the log: %w", err)
		}
		fr := parseFrame(buf)
		sum = h.checksum(h.checksum(sum, buf[:8]), buf[frameHeaderSize:])
		if fr.salt != h.salt || fr.sum != sum || fr.pgno == 0 {
			return nil
		}
		if fr.commit > 0 {
			if err := fn(i + 1); err != nil {
				return err
			}
		}
	}
}

// walEnd returns the header of the log and the frames up to the end of its last
// transaction; an empty log has no salt.
func walEnd(f io.ReaderAt) (h walHeader, end int, err error) {
	h, ok, err := readWALHeader(f)
	if err != nil || !ok {
		return walHeader{}, 0, err
	}
	err = h.scan(f, 0, func(n int) error { end = n; return nil })
	return h, end, err
}

// openWAL opens the log of the database at path; one that is not there is empty.
func openWAL(path string) (f *os.File, exists bool, err error) {
	f, err = os.Open(path + "-wal") //nolint:gosec // beside the database
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("history: %w", err)
	}
	return f, true, nil
}
