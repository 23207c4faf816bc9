package kv

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// cursorMAC is how many bytes of the HMAC a cursor carries.
const cursorMAC = 16

// cursors makes and reads the cursors of lists: the last key of a page, and a
// MAC over it, the namespace and the prefix. A cursor can be neither made up nor
// used elsewhere, and needs no state here: it is as good after a restart.
type cursors struct{ key []byte }

func (c cursors) mac(namespace, prefix, last string) []byte {
	h := hmac.New(sha256.New, c.key)
	for _, s := range []string{namespace, prefix, last} {
		// The length keeps ("ab","c") apart from ("a","bc").
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		_, _ = h.Write([]byte(s))
	}
	return h.Sum(nil)[:cursorMAC]
}

func (c cursors) make(namespace, prefix, last string) string {
	return base64.RawURLEncoding.EncodeToString(append(c.mac(namespace, prefix, last), last...))
}

// read returns the key after which the next page begins; "" for no cursor.
func (c cursors) read(namespace, prefix, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	const longest = (cursorMAC + MaxKeySize) * 4 / 3
	invalid := fail(CodeInvalidCursor, 400, "Invalid cursor. Use the one of the page before, with the same namespace and prefix.")
	if len(cursor) > longest+2 {
		return "", invalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= cursorMAC {
		return "", invalid
	}
	last := string(raw[cursorMAC:])
	if !hmac.Equal(raw[:cursorMAC], c.mac(namespace, prefix, last)) {
		return "", invalid
	}
	return last, nil
}
