package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"

	"github.com/pierrec/lz4/v4"
	"github.com/superfly/ltx"
)

// pageSink takes the pages of LTX files in order.
type pageSink interface {
	// begin announces a file of pages of that size, after which the database has so
	// many pages.
	begin(pageSize, commit uint32) error
	page(pgno uint32, data []byte) error
}

// decoder reads one LTX file as this package writes them. [ltx.Decoder] allocates what
// the size of a page claims, up to 4 GB, before it reads; backups come from outside.
type decoder struct {
	r     io.Reader
	h     ltx.Header
	sum   uint64
	at    int64  // in the file
	index uint64 // checksum of the page index that the pages call for
	size  int64  // of it
	block []byte
	data  []byte
}

// decode hands the pages of one LTX file of the transactions lo to hi to sink, and
// checks the file's checksum and that nothing lies behind it. What is wrong with the
// file is [ErrDamaged].
func decode(r io.Reader, lo, hi TXID, sink pageSink) error {
	d := decoder{r: r}
	if err := d.header(); err != nil {
		return err
	}
	if TXID(d.h.MaxTXID) != hi || !d.h.IsSnapshot() && TXID(d.h.MinTXID) != lo {
		return fmt.Errorf("history: %w: it holds the transactions %s to %s", ErrDamaged, d.h.MinTXID, d.h.MaxTXID)
	}
	return d.rest(sink)
}

// sound reports whether an LTX file is whole.
func sound(r io.Reader) bool {
	d := decoder{r: bufio.NewReader(r)}
	return d.header() == nil && d.rest(nowhere{}) == nil
}

type nowhere struct{}

func (nowhere) begin(uint32, uint32) error { return nil }
func (nowhere) page(uint32, []byte) error  { return nil }

func damaged(what string) error { return fmt.Errorf("history: %w: %s", ErrDamaged, what) }

// read fills b and adds it to the checksum.
func (d *decoder) read(b []byte) error {
	if _, err := io.ReadFull(d.r, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends in the middle")
	} else if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	d.at += int64(len(b))
	d.sum = crc64.Update(d.sum, checksumTable, b)
	return nil
}

func (d *decoder) header() error {
	var b [ltx.HeaderSize]byte
	if err := d.read(b[:]); err != nil {
		return err
	}
	err := d.h.UnmarshalBinary(b[:])
	if err == nil {
		err = d.h.Validate()
	}
	if err == nil && !d.h.NoChecksum() {
		err = errors.New("it is of another program")
	}
	if err != nil {
		return fmt.Errorf("history: %w: %w", ErrDamaged, err)
	}
	return nil
}

// rest reads what lies behind the header.
func (d *decoder) rest(sink pageSink) error {
	if err := sink.begin(d.h.PageSize, d.h.Commit); err != nil {
		return err
	}
	d.data = make([]byte, d.h.PageSize)
	d.block = make([]byte, lz4.CompressBlockBound(len(d.data)))
	last := uint32(0)
	for {
		pgno, err := d.page()
		if err != nil {
			return err
		}
		if pgno == 0 {
			return d.end()
		}
		if pgno <= last || pgno > d.h.Commit {
			return damaged(fmt.Sprintf("page %d of %d behind page %d", pgno, d.h.Commit, last))
		}
		last = pgno
		if err := sink.page(pgno, d.data); err != nil {
			return err
		}
	}
}

// page reads the next page into data and returns its number, 0 behind the last.
func (d *decoder) page() (pgno uint32, err error) {
	from := d.at
	var head [ltx.PageHeaderSize]byte
	if err := d.read(head[:]); err != nil {
		return 0, err
	}
	if head == [ltx.PageHeaderSize]byte{} {
		return 0, nil
	}
	pgno = binary.BigEndian.Uint32(head[:])
	var size [4]byte
	if err := d.read(size[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if pgno == 0 || binary.BigEndian.Uint16(head[4:]) != ltx.PageHeaderFlagSize || int64(n) > int64(len(d.block)) {
		return 0, damaged(fmt.Sprintf("page %d of %d bytes", pgno, n))
	}
	sum := d.sum
	if err := d.read(d.block[:n]); err != nil {
		return 0, err
	}
	if m, err := lz4.UncompressBlock(d.block[:n], d.data); err != nil || m != len(d.data) {
		return 0, damaged(fmt.Sprintf("page %d cannot be decompressed", pgno))
	}
	d.sum = crc64.Update(sum, checksumTable, d.data) // of the page as it was
	var b [3 * binary.MaxVarintLen64]byte
	entry := appendEntry(b[:0], pgno, from, d.at-from)
	d.index = crc64.Update(d.index, checksumTable, entry)
	d.size += int64(len(entry))
	return pgno, nil
}

// end reads the page index, which says nothing new, and compares the checksum.
func (d *decoder) end() error {
	var index uint64
	for left := d.size; left > 0; {
		b := d.block[:min(left, int64(len(d.block)))]
		if err := d.read(b); err != nil {
			return err
		}
		index = crc64.Update(index, checksumTable, b)
		left -= int64(len(b))
	}
	var tail [1 + 8 + ltx.TrailerChecksumOffset]byte
	if err := d.read(tail[:]); err != nil {
		return err
	}
	want := binary.BigEndian.AppendUint64([]byte{0}, uint64(d.size+1)) //nolint:gosec // not below zero
	if index != d.index || string(tail[:]) != string(want)+string(make([]byte, ltx.TrailerChecksumOffset)) {
		return damaged("its index is not that of its pages")
	}
	sum := d.sum | uint64(ltx.ChecksumFlag)
	var b [ltx.ChecksumSize]byte
	if err := d.read(b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(b[:]) != sum {
		return damaged("its checksum is wrong")
	}
	if n, err := d.r.Read(b[:1]); n > 0 {
		return damaged("something lies behind it")
	} else if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
