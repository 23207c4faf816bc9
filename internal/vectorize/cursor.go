package vectorize

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// cursorLife is how long a cursor is good for.
const cursorLife = 24 * time.Hour

// A cursor is, in base64: version 1 · index 16 · expiry 8 (ms) · the last id that was
// listed · checksum 4. It says where to go on and nothing that its bearer may not
// know; the checksum tells a mangled one from one of another index.
const (
	cursorVersion = 1
	cursorHead    = 1 + 16 + 8
)

func makeCursor(index uuid.UUID, last string, expires time.Time) string {
	out := append([]byte{cursorVersion}, index[:]...)
	out = binary.LittleEndian.AppendUint64(out, uint64(expires.UnixMilli()))
	out = append(out, last...)
	out = binary.LittleEndian.AppendUint32(out, checksum(out))
	return base64.RawURLEncoding.EncodeToString(out)
}

func parseCursor(index uuid.UUID, cursor string, now time.Time) (last string, err error) {
	raw, decodeErr := base64.RawURLEncoding.DecodeString(cursor)
	n := len(raw) - 4
	switch {
	case decodeErr != nil, n < cursorHead, raw[0] != cursorVersion, checksum(raw[:n]) != binary.LittleEndian.Uint32(raw[n:]):
		return "", Fail(CodeCursor, "invalid cursor: it is not one that a list of vectors returned")
	case uuid.UUID(raw[1:17]) != index:
		return "", Fail(CodeCursor, "invalid cursor: it is of another index")
	case now.UnixMilli() > int64(binary.LittleEndian.Uint64(raw[17:])): //nolint:gosec // as it was written
		return "", Fail(CodeCursor, "invalid cursor: it has expired; start the list again")
	}
	return string(raw[cursorHead:n]), nil
}
