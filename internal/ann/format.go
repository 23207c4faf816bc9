package ann

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment file is a row of parts, each beginning on a page, and a footer of
// one page that says where they are. Everything is little endian. The footer
// comes last because a file is written front to back and what is in it is
// known only then.

// pageSize is the alignment of parts and the size of the footer.
const pageSize = 4096

// formatVersion is what this package writes, and all it reads.
const formatVersion = 1

const footerMagic = "selvann\x00"

// part is a region of the file. Its number is its place in the footer.
type part int

const (
	partVectors part = iota // float32 as given; checked row by row with partSums
	partSums                // CRC-32C of each vector
	partNorms               // float32 length of each vector
	partCenter              // float32 point that codes are relative to
	partCodes               // quantised vectors: see codes
	partLinks               // neighbours of each row on the ground level
	partEntries             // rows at which searches begin
	parts
)

var partNames = [parts]string{"vectors", "checksums", "norms", "center", "codes", "graph", "entries"} //nolint:gochecknoglobals // constant

func (p part) String() string { return partNames[p] }

// castagnoli is the polynomial with instructions of its own on every processor.
var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // constant

// extent is where a part is.
type extent struct {
	offset, size uint64
	sum          uint32 // CRC-32C; 0 for partVectors
}

// footer is the last page of a segment.
type footer struct {
	dim, metric, count uint32
	bits               uint32 // of a code
	degree             uint32 // of the graph; 0: there is none
	extents            [parts]extent
}

func (f *footer) encode() []byte {
	b := make([]byte, 0, pageSize)
	b = append(b, footerMagic...)
	for _, x := range []uint32{formatVersion, f.dim, f.metric, f.count, f.bits, f.degree} {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	for _, e := range f.extents {
		b = binary.LittleEndian.AppendUint64(b, e.offset)
		b = binary.LittleEndian.AppendUint64(b, e.size)
		b = binary.LittleEndian.AppendUint32(b, e.sum)
	}
	b = b[:pageSize]
	binary.LittleEndian.PutUint32(b[pageSize-4:], crc32.Checksum(b[:pageSize-4], castagnoli))
	return b
}

// decodeFooter reads the last page of a file of size bytes. Everything it
// returns has been checked against everything else, so that who uses it can
// slice without asking.
func decodeFooter(b []byte, size uint64) (*footer, string) {
	if len(b) != pageSize || string(b[:len(footerMagic)]) != footerMagic {
		return nil, "this is no segment"
	}
	if got := crc32.Checksum(b[:pageSize-4], castagnoli); got != binary.LittleEndian.Uint32(b[pageSize-4:]) {
		return nil, "the checksum does not fit"
	}
	rest := b[len(footerMagic):]
	u32 := func() uint32 {
		x := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		return x
	}
	if v := u32(); v != formatVersion {
		return nil, fmt.Sprintf("its format is version %d and this program reads %d", v, formatVersion)
	}
	f := &footer{dim: u32(), metric: u32(), count: u32(), bits: u32(), degree: u32()}
	for i := range f.extents {
		e := &f.extents[i]
		e.offset, e.size = binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		e.sum = binary.LittleEndian.Uint32(rest[16:])
		rest = rest[20:]
		if e.offset%pageSize != 0 || e.offset > size || e.size > size-e.offset {
			return nil, fmt.Sprintf("its part %s lies outside of the file", part(i))
		}
	}
	return f, f.inconsistent()
}

// inconsistent returns what does not fit together, or "".
func (f *footer) inconsistent() string {
	if err := f.config().validate(); err != nil {
		return err.Error()
	}
	if f.bits != 4 && f.bits != 8 || f.count >= done || f.degree > 1024 {
		return fmt.Sprintf("it has %d rows, codes of %d bits and degree %d", f.count, f.bits, f.degree)
	}
	n, dim := uint64(f.count), uint64(f.dim)
	stride := uint64(newCodes(int(f.dim), int(f.bits), nil).stride) //nolint:gosec // not negative
	for p, want := range map[part]uint64{
		partVectors: n * dim * 4, partSums: n * 4, partNorms: n * 4,
		partCenter: dim * 4, partCodes: n * stride, partLinks: n * uint64(f.degree) * 4,
	} {
		if f.extents[p].size != want {
			return fmt.Sprintf("its part %s has %d bytes, not %d", p, f.extents[p].size, want)
		}
	}
	if size := f.extents[partEntries].size; size%4 != 0 || size/4 > n || f.degree > 0 && size == 0 {
		return fmt.Sprintf("its entries have %d bytes", size)
	}
	return ""
}

func (f *footer) config() Config { return Config{Dim: int(f.dim), Metric: Metric(f.metric)} }
