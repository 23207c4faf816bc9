package d1

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/history"
)

var bookmarkText = regexp.MustCompile(`^([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{32})$`)

// A bookmark names a state of one database: the number of the transaction that made
// it, and whose it is. Numbers have a fixed width, so that bookmarks compare as
// strings.
//
//	0000002a-00001f40-00000002-9f86d081884c7d659a2feaa0c55ad015
//	epoch    within   format   database
//
// Format 1 counted openings and commits; those numbers are below all of format 2 and
// name no state that could be restored.
const (
	bookmarkFormat    = 2
	bookmarkFormatOld = 1
)

type position struct {
	id  history.TXID
	old bool // of format 1
}

func (p position) bookmark(database uuid.UUID) string {
	return fmt.Sprintf("%08x-%08x-%08x-%s", p.id.Epoch(), p.id.Within(), bookmarkFormat, hex.EncodeToString(database[:]))
}

// parseBookmark reads a bookmark of the database.
func parseBookmark(s string, database uuid.UUID) (position, error) {
	m := bookmarkText.FindStringSubmatch(s)
	if m == nil {
		return position{}, fail(CodeInvalid, "%q is no bookmark of this database. Use one that a query returned, or first-primary, or first-unconstrained.", clip(s))
	}
	if m[4] != hex.EncodeToString(database[:]) {
		return position{}, fail(CodeInvalid, "The bookmark %q is of another database.", s)
	}
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(m[i+1], 16, 32) // the pattern leaves only such numbers
	}
	p := position{id: history.TXID(n[0]<<32 | n[1]), old: n[2] == bookmarkFormatOld}
	if n[2] != bookmarkFormat && !p.old {
		return position{}, fail(CodeInvalid, "The bookmark %q is of a format that this version does not know.", s)
	}
	return p, nil
}

func clip(s string) string { return clipTo(s, 80) }

func clipTo(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
