package d1

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A bookmark names a state of one database: how often it was opened, how many
// commits it had seen since, and whose it is. Numbers have a fixed width, so that
// bookmarks compare as strings.
//
//	0000002a-00001f40-00000001-9f86d081884c7d659a2feaa0c55ad015
//	opened   commits  format   database
const bookmarkFormat = 1

type position struct{ opened, commits uint32 }

func (p position) bookmark(database uuid.UUID) string {
	return fmt.Sprintf("%08x-%08x-%08x-%s", p.opened, p.commits, bookmarkFormat, hex.EncodeToString(database[:]))
}

// parseBookmark reads a bookmark of the database.
func parseBookmark(s string, database uuid.UUID) (position, error) {
	parts := strings.Split(s, "-")
	if len(parts) == 4 && len(parts[0]) == 8 && len(parts[1]) == 8 {
		opened, err1 := strconv.ParseUint(parts[0], 16, 32)
		commits, err2 := strconv.ParseUint(parts[1], 16, 32)
		if err1 == nil && err2 == nil {
			if parts[3] != hex.EncodeToString(database[:]) {
				return position{}, fail(CodeInvalid, "The bookmark %q is of another database.", s)
			}
			return position{uint32(opened), uint32(commits)}, nil
		}
	}
	return position{}, fail(CodeInvalid, "%q is no bookmark of this database. Use one that a query returned, or first-primary, or first-unconstrained.", clip(s))
}

func clip(s string) string { return clipTo(s, 80) }

func clipTo(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
