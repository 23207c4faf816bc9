package history

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/superfly/ltx"
)

// A segment holds records, each a length of 8 bytes, big endian, and a whole LTX file
// of one transaction, whose checksum tells a torn one.
const recordPrefix = 8

// maxRecord bounds what is believed of a length, in bytes.
const maxRecord = 1 << 30

// record is what is known of a transaction in a segment.
type record struct {
	id      TXID
	at      time.Time
	salt    uint64
	frame   int // of the log, behind its last one
	commit  uint32
	offset  int64 // in the segment, of the prefix
	size    int64 // with the prefix
	pageLen uint32
}

func recordOf(h *ltx.Header, offset, size int64) record {
	r := record{
		id: TXID(h.MaxTXID), at: time.UnixMilli(h.Timestamp).UTC(), salt: uint64(h.WALSalt1)<<32 | uint64(h.WALSalt2),
		commit: h.Commit, offset: offset, size: size, pageLen: h.PageSize,
	}
	if h.WALOffset > 0 {
		r.frame = int((h.WALOffset + h.WALSize - walHeaderSize) / (frameHeaderSize + int64(h.PageSize)))
	}
	return r
}

// header makes the LTX header of transactions lo to hi that end at a position of the
// log. Checksums of the whole database are not kept: they would need a checksum of
// every page in memory. Each file has its own.
func header(lo, hi TXID, at time.Time, pageSize, commit uint32) ltx.Header {
	return ltx.Header{
		Version: ltx.Version, Flags: ltx.HeaderFlagNoChecksum, PageSize: pageSize, Commit: commit,
		MinTXID: ltx.TXID(lo), MaxTXID: ltx.TXID(hi), Timestamp: at.UnixMilli(),
	}
}

// eachRecord reads the records of a segment, hopping from header to header; check,
// unless nil, says of each whether it is right. It returns where the whole records end;
// what lies behind is torn.
func eachRecord(r io.ReaderAt, size int64, check func(io.Reader) bool, fn func(record) error) (end int64, err error) {
	for end+recordPrefix+ltx.HeaderSize <= size {
		var b [recordPrefix + ltx.HeaderSize]byte
		if _, err := r.ReadAt(b[:], end); err != nil {
			return end, fmt.Errorf("history: read a segment: %w", err)
		}
		n := int64(binary.BigEndian.Uint64(b[:])) //nolint:gosec // looked at in the next line
		if n < ltx.HeaderSize+ltx.TrailerSize || n > maxRecord || end+recordPrefix+n > size {
			return end, nil
		}
		var h ltx.Header
		valid := h.UnmarshalBinary(b[recordPrefix:]) == nil && h.Validate() == nil
		if !valid || check != nil && !check(io.NewSectionReader(r, end+recordPrefix, n)) {
			return end, nil
		}
		if err := fn(recordOf(&h, end, recordPrefix+n)); err != nil {
			return end, err
		}
		end += recordPrefix + n
	}
	return end, nil
}

// decodeRecords hands the transactions lo to hi of a segment to sink.
func decodeRecords(r io.Reader, lo, hi TXID, sink pageSink) error {
	br := bufio.NewReaderSize(r, 256<<10)
	for next := TXID(0); next <= hi; {
		var prefix [recordPrefix]byte
		if _, err := io.ReadFull(br, prefix[:]); err != nil {
			return fmt.Errorf("history: %w: a segment ends before transaction %x: %w", ErrDamaged, uint64(hi), err)
		}
		n := int64(binary.BigEndian.Uint64(prefix[:])) //nolint:gosec // looked at in the next line
		if n < ltx.HeaderSize || n > maxRecord {
			return fmt.Errorf("history: %w: a record of %d bytes", ErrDamaged, n)
		}
		head, err := br.Peek(ltx.HeaderSize)
		if err != nil {
			return fmt.Errorf("history: %w: %w", ErrDamaged, err)
		}
		var h ltx.Header
		if err := h.UnmarshalBinary(head); err != nil {
			return fmt.Errorf("history: %w: %w", ErrDamaged, err)
		}
		id := TXID(h.MaxTXID)
		if id < lo {
			if _, err := io.CopyN(io.Discard, br, n); err != nil {
				return fmt.Errorf("history: %w: %w", ErrDamaged, err)
			}
		} else if id <= hi {
			if next != 0 && id != next {
				return fmt.Errorf("history: %w: transaction %x is missing", ErrDamaged, uint64(next))
			}
			if err := decode(io.LimitReader(br, n), id, id, sink); err != nil {
				return err
			}
		}
		next = id + 1
	}
	return nil
}

// encoder writes one LTX file of any size; recordEncoder is for the small ones.
type encoder struct {
	*ltx.Encoder

	commit uint32
	lock   uint32 // the page that SQLite never uses
}

func newEncoder(w io.Writer, h ltx.Header) (*encoder, error) {
	enc, err := ltx.NewEncoder(w)
	if err == nil {
		err = enc.EncodeHeader(h)
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &encoder{Encoder: enc, commit: h.Commit, lock: h.LockPgno()}, nil
}

// put writes a page; one that is not part of the database any more is left out.
func (e *encoder) put(pgno uint32, data []byte) error {
	if pgno > e.commit || pgno == e.lock {
		return nil
	}
	if err := e.EncodePage(ltx.PageHeader{Pgno: pgno}, data); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

func (e *encoder) end() error {
	if err := e.Close(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// setPrefix puts the length of the record into the prefix that it begins with in b.
func setPrefix(b []byte, from int) {
	binary.BigEndian.PutUint64(b[from:], uint64(len(b)-from-recordPrefix)) //nolint:gosec // not below zero
}
