package vectorize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// A log is a head and frames. Integers are little-endian, checksums CRC-32C.
//
//	head   "selvlog1" 8 · index 16 · checksum of both 4
//	frame  "selvgrp1" 8 · length 4 · number 8 · checksum of the payload 4 · checksum of these 24 4 · payload
//
// A frame holds the records of one group commit. It is written only after the one
// before it is on disk, and its number is one more. So a frame that does not check
// was acknowledged exactly if another follows it.
const (
	logMagic   = "selvlog1"
	frameMagic = "selvgrp1"
	logHead    = 8 + 16 + 4
	frameHead  = 8 + 4 + 8 + 4 + 4
	// A frame has at most this many bytes of payload.
	maxFrame = 1 << 30
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// log is the open log of an index. It is used by one goroutine.
type log struct {
	file   *fsx.AppendFile
	path   string
	number uint64 // of the next frame
	buf    []byte
	// broken is why the log takes nothing more: after a failed fsync nobody knows
	// what is on disk.
	broken error
}

// createLog makes an empty log at path.
func createLog(fs fsx.FS, path string, index uuid.UUID) error {
	head := append([]byte(logMagic), index[:]...)
	head = binary.LittleEndian.AppendUint32(head, checksum(head))
	return fs.WriteFile(path, head, 0o600)
}

// openLog reads the log at path, calls apply for each mutation and leaves it open
// for more. First is the number of its first frame. It returns how many bytes of an
// unacknowledged frame were cut off the end, which must not reach into the first
// sealed bytes: those are known to have been acknowledged. An error is a
// [*CorruptError] when the log is damaged.
func openLog(fs fsx.FS, path string, index uuid.UUID, first uint64, sealed int64, apply func(*mutation) error) (l *log, cutOff int64, err error) {
	data, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err != nil {
		return nil, 0, fmt.Errorf("vectorize: read the log: %w", err)
	}
	if err := checkLogHead(path, data, index); err != nil {
		return nil, 0, err
	}
	at := int64(logHead)
	number := first
	for at < int64(len(data)) {
		payload, reason := readFrame(data[at:], number)
		if reason != "" {
			if at < sealed || frameAfter(data[at+1:], number) {
				return nil, 0, &CorruptError{Path: path, Offset: at, Reason: reason}
			}
			break
		}
		if err := replay(payload, apply); err != nil {
			if _, own := errors.AsType[*CorruptError](err); own || errors.Is(err, errRecord) {
				return nil, 0, &CorruptError{Path: path, Offset: at, Reason: err.Error()}
			}
			return nil, 0, err
		}
		at += frameHead + int64(len(payload))
		number++
	}
	if at < sealed {
		return nil, 0, &CorruptError{Path: path, Offset: at, Reason: fmt.Sprintf("it ends here, and had %d bytes", sealed)}
	}
	file, err := fs.OpenAppend(path)
	if err != nil {
		return nil, 0, err
	}
	l = &log{file: file, path: path, number: number}
	cutOff = file.Size() - at
	if cutOff > 0 {
		// On disk before anything is appended: else the old bytes could come back behind it.
		if err := errors.Join(file.Truncate(at), file.Sync()); err != nil {
			return nil, 0, errors.Join(err, file.Close())
		}
	}
	return l, cutOff, nil
}

func checkLogHead(path string, data []byte, index uuid.UUID) error {
	switch {
	case len(data) < logHead || string(data[:8]) != logMagic || checksum(data[:24]) != binary.LittleEndian.Uint32(data[24:]):
		return &CorruptError{Path: path, Offset: 0, Reason: "it does not begin as a log"}
	case !bytes.Equal(data[8:24], index[:]):
		return &CorruptError{Path: path, Offset: 8, Reason: "it is the log of another index"}
	}
	return nil
}

// readFrame returns the payload of the frame that data begins with, or what is
// wrong with it.
func readFrame(data []byte, number uint64) (payload []byte, reason string) {
	n, got, ok := frameAt(data)
	switch {
	case !ok:
		return nil, "no frame begins here"
	case got != number:
		return nil, fmt.Sprintf("frame %d begins here, not %d", got, number)
	case n > len(data)-frameHead:
		return nil, "the frame breaks off"
	}
	payload = data[frameHead : frameHead+n]
	if checksum(payload) != binary.LittleEndian.Uint32(data[20:]) {
		return nil, "the checksum does not match"
	}
	return payload, ""
}

// frameAt reads the head of a frame.
func frameAt(data []byte) (length int, number uint64, ok bool) {
	if len(data) < frameHead || string(data[:8]) != frameMagic || checksum(data[:24]) != binary.LittleEndian.Uint32(data[24:]) {
		return 0, 0, false
	}
	n := binary.LittleEndian.Uint32(data[8:])
	return int(n), binary.LittleEndian.Uint64(data[12:]), n <= maxFrame
}

// frameAfter reports whether the head of a frame with a number above this one is in data.
func frameAfter(data []byte, number uint64) bool {
	for {
		i := bytes.Index(data, []byte(frameMagic))
		if i < 0 {
			return false
		}
		if _, n, ok := frameAt(data[i:]); ok && n > number {
			return true
		}
		data = data[i+1:]
	}
}

func replay(payload []byte, apply func(*mutation) error) error {
	d := decoder{data: payload}
	for len(d.data) > 0 {
		m, err := d.mutation()
		if err != nil {
			return err
		}
		if err := apply(&m); err != nil {
			return err
		}
	}
	return nil
}

// commit writes mutations as one frame and returns when they are on disk. After an
// error none of them counts: the log is as it was, or broken if that is not certain.
func (l *log) commit(group []*mutation) error {
	if l.broken != nil {
		return l.broken
	}
	l.buf = append(l.buf[:0], make([]byte, frameHead)...)
	for _, m := range group {
		l.buf = m.append(l.buf)
	}
	payload := l.buf[frameHead:]
	copy(l.buf, frameMagic)
	binary.LittleEndian.PutUint32(l.buf[8:], uint32(len(payload))) //nolint:gosec // bounded by the writer
	binary.LittleEndian.PutUint64(l.buf[12:], l.number)
	binary.LittleEndian.PutUint32(l.buf[20:], checksum(payload))
	binary.LittleEndian.PutUint32(l.buf[24:], checksum(l.buf[:24]))
	before := l.file.Size()
	if err := l.file.Append(l.buf); err != nil {
		// The disk may be full: what was there before is untouched.
		if cut := l.file.Truncate(before); cut != nil {
			l.broken = errors.Join(err, cut)
		}
		return err
	}
	if err := l.file.Sync(); err != nil {
		l.broken = err
		return err
	}
	l.number++
	const keep = 1 << 20 // a large group's buffer is not kept
	if cap(l.buf) > keep {
		l.buf = nil
	}
	return nil
}

func (l *log) close() error { return l.file.Close() }
