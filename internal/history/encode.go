package history

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"slices"

	"github.com/pierrec/lz4/v4"
	"github.com/superfly/ltx"
)

// recordEncoder makes LTX files of single transactions, byte for byte those of
// [ltx.Encoder]. A database may commit twenty thousand times a second, and each time
// that one would make and clear tables of 140 KB; this one keeps them.
type recordEncoder struct {
	lz    lz4.Compressor
	out   []byte // what the file is appended to
	start int    // of the file in out
	sum   uint64
	index []byte // of the pages put so far
	head  ltx.Header
	lock  uint32 // the page that SQLite never uses
	last  uint32 // page number
}

//nolint:gochecknoglobals // a constant
var checksumTable = crc64.MakeTable(crc64.ISO)

// begin starts a file behind b. What it returns in the end has b in front.
func (e *recordEncoder) begin(b []byte, h ltx.Header) error {
	if err := h.Validate(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	head, err := h.MarshalBinary()
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	e.out, e.start, e.index = append(b, head...), len(b), e.index[:0]
	e.sum = crc64.Update(0, checksumTable, head)
	e.head, e.lock, e.last = h, ltx.LockPgno(h.PageSize), 0
	return nil
}

// put adds a page, of a number above those before; one that is not part of the
// database any more is left out.
func (e *recordEncoder) put(pgno uint32, data []byte) error {
	if pgno > e.head.Commit || pgno == e.lock {
		return nil
	}
	if pgno <= e.last || len(data) != int(e.head.PageSize) {
		return fmt.Errorf("history: page %d of %d bytes behind page %d in pages of %d", pgno, len(data), e.last, e.head.PageSize)
	}
	e.last = pgno
	const sizeBytes = 4
	from := len(e.out)
	body := from + ltx.PageHeaderSize + sizeBytes
	e.out = slices.Grow(e.out, ltx.PageHeaderSize+sizeBytes+lz4.CompressBlockBound(len(data)))
	n, err := e.lz.CompressBlock(data, e.out[body:cap(e.out)])
	if err != nil {
		return fmt.Errorf("history: compress a page: %w", err)
	}
	e.out = e.out[:body+n]
	binary.BigEndian.PutUint32(e.out[from:], pgno)
	binary.BigEndian.PutUint16(e.out[from+4:], ltx.PageHeaderFlagSize)
	binary.BigEndian.PutUint32(e.out[from+ltx.PageHeaderSize:], uint32(n)) //nolint:gosec // about a page
	// The checksum is of the page as it was, not as it is stored.
	e.sum = crc64.Update(e.sum, checksumTable, e.out[from:body])
	e.sum = crc64.Update(e.sum, checksumTable, data)
	e.index = appendEntry(e.index, pgno, int64(from-e.start), int64(len(e.out)-from))
	return nil
}

// appendEntry adds a page to a page index: where it lies in the file.
func appendEntry(b []byte, pgno uint32, at, size int64) []byte {
	b = binary.AppendUvarint(b, uint64(pgno))
	b = binary.AppendUvarint(b, uint64(at))      //nolint:gosec // not below zero
	return binary.AppendUvarint(b, uint64(size)) //nolint:gosec // not below zero
}

// end finishes the file and returns what it was appended to.
func (e *recordEncoder) end() []byte {
	from := len(e.out)
	var none [max(ltx.PageHeaderSize, ltx.TrailerChecksumOffset)]byte
	e.out = append(e.out, none[:ltx.PageHeaderSize]...) // ends the pages
	index := len(e.out)
	e.out = append(append(e.out, e.index...), 0)
	e.out = binary.BigEndian.AppendUint64(e.out, uint64(len(e.out)-index)) //nolint:gosec // not below zero
	e.out = append(e.out, none[:ltx.TrailerChecksumOffset]...)             // no checksum of the database
	e.sum = crc64.Update(e.sum, checksumTable, e.out[from:])
	return binary.BigEndian.AppendUint64(e.out, e.sum|uint64(ltx.ChecksumFlag))
}
