package http1

import "github.com/selvage-dev/selvage/internal/edge/wire"

// Bounds on what surrounds the data of a chunked body. Without them a client
// could keep the decoder busy with extensions at no end (CVE-2023-39326).
const (
	maxSizeDigits  = 15 // of a chunk size: below 2^60
	maxExtension   = 256
	maxOverhead    = 16 << 10 // extensions, beyond what the data pays for
	maxTrailerSize = 16 << 10
	maxTrailers    = 64
)

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkQuoted
	chunkQuotedPair
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
)

// Chunked decodes a chunked body (RFC 9112 section 7.1) that is pushed to it. It
// is strict: lines end with CR LF, sizes are plain hexadecimal digits. It copies
// no data. The zero value is ready for one body; Reset makes it so again.
type Chunked struct {
	state    chunkState
	digits   uint8
	remain   int64
	ext      int // bytes of this chunk's extension
	overhead int // bytes of extensions, less a share of the data
	trailer  []byte
	fields   []wire.Field
}

// Reset makes d ready for another body.
func (d *Chunked) Reset() {
	*d = Chunked{trailer: d.trailer[:0], fields: d.fields[:0]}
}

// Done reports whether the body has ended.
func (d *Chunked) Done() bool { return d.state == chunkDone }

// Trailers returns the trailer fields of a body that has ended, without those
// that trailers must not have. They are valid until Reset.
func (d *Chunked) Trailers() []wire.Field { return d.fields }

// Next takes bytes of the body from the front of p: it returns how many, and the
// data among them, a part of p. Data of several chunks takes several calls. The
// fault is BadChunk or BadTrailer. Nothing is taken only when p is empty or the
// body has ended.
func (d *Chunked) Next(p []byte) (n int, data []byte, f wire.Fault) {
	for n < len(p) && d.state != chunkDone {
		if d.state == chunkData {
			size := min(int64(len(p)-n), d.remain)
			data = p[n : n+int(size)]
			n += int(size)
			d.remain -= size
			d.overhead = max(0, d.overhead-int(size))
			if d.remain == 0 {
				d.state = chunkDataCR
			}
			return n, data, wire.NoFault
		}
		if d.state == chunkTrailer {
			f = d.trailerByte(p[n])
		} else {
			f = d.frameByte(p[n])
		}
		if f != wire.NoFault {
			return n, nil, f
		}
		n++
	}
	return n, nil, wire.NoFault
}

// frameByte takes one byte of the framing.
func (d *Chunked) frameByte(ch byte) wire.Fault {
	switch d.state { //nolint:exhaustive // Next handles the others
	case chunkSize:
		return d.sizeByte(ch)
	case chunkExt, chunkQuoted, chunkQuotedPair:
		return d.extByte(ch)
	case chunkSizeLF:
		if ch != '\n' {
			return wire.BadChunk
		}
		d.digits, d.ext = 0, 0
		d.state = chunkData
		if d.remain == 0 {
			d.state = chunkTrailer
		}
		return wire.NoFault
	case chunkDataCR:
		d.state = chunkDataLF
		if ch != '\r' {
			return wire.BadChunk
		}
		return wire.NoFault
	case chunkDataLF:
		d.state = chunkSize
		if ch != '\n' {
			return wire.BadChunk
		}
		return wire.NoFault
	}
	return wire.BadChunk
}

func (d *Chunked) sizeByte(ch byte) wire.Fault {
	if isHex(ch) {
		if d.digits == maxSizeDigits {
			return wire.BadChunk
		}
		d.digits++
		v := ch - '0'
		if v > 9 {
			v = (ch | 0x20) - 'a' + 10
		}
		d.remain = d.remain<<4 | int64(v)
		return wire.NoFault
	}
	switch {
	case d.digits == 0:
		return wire.BadChunk
	case ch == '\r':
		d.state = chunkSizeLF
	case ch == ';':
		d.state = chunkExt
	default:
		return wire.BadChunk
	}
	return wire.NoFault
}

// extByte skips an extension. A CR inside a quoted string ends nothing, it is
// refused: readers that disagree on that have been smuggled past.
func (d *Chunked) extByte(ch byte) wire.Fault {
	d.ext++
	d.overhead++
	if d.ext > maxExtension || d.overhead > maxOverhead {
		return wire.BadChunk
	}
	if ch == '\r' && d.state == chunkExt {
		d.state = chunkSizeLF
		return wire.NoFault
	}
	if ch < ' ' && ch != '\t' || ch >= 0x7f {
		return wire.BadChunk
	}
	switch {
	case d.state == chunkQuotedPair:
		d.state = chunkQuoted
	case d.state == chunkQuoted && ch == '\\':
		d.state = chunkQuotedPair
	case ch == '"' && d.state == chunkExt:
		d.state = chunkQuoted
	case ch == '"':
		d.state = chunkExt
	}
	return wire.NoFault
}

// trailerByte gathers the trailer section, which ends with an empty line.
func (d *Chunked) trailerByte(ch byte) wire.Fault {
	if len(d.trailer) == maxTrailerSize {
		return wire.BadTrailer
	}
	d.trailer = append(d.trailer, ch)
	if ch != '\n' {
		return wire.NoFault
	}
	n := len(d.trailer)
	if n < 2 || d.trailer[n-2] != '\r' {
		return wire.BadTrailer
	}
	if n != 2 && (n < 4 || d.trailer[n-3] != '\n') {
		return wire.NoFault
	}
	d.state = chunkDone
	var f wire.Fault
	if d.fields, f = parseFields(d.trailer, d.fields[:0]); f != wire.NoFault || len(d.fields) > maxTrailers {
		return wire.BadTrailer
	}
	kept := d.fields[:0]
	for _, field := range d.fields {
		if trailerAllowed(field.Known) {
			kept = append(kept, field)
		}
	}
	d.fields = kept
	return wire.NoFault
}

// trailerAllowed keeps out of trailers what decides on framing, routing or trust
// (RFC 9110 section 6.5.1).
func trailerAllowed(k wire.Known) bool { return k == wire.Other }
