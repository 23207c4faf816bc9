package d1

import (
	"errors"
	"fmt"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// pageSize is that of every database: SQLite's own default.
const pageSize = 4096

// maxPages is a pragma that bounds a database. SQLite keeps it per connection.
func maxPages(size int64) string {
	return fmt.Sprintf("; PRAGMA max_page_count=%d", max(size/pageSize, 1))
}

// failed makes an error of what went wrong with the query at index i. SQLite has one code
// for a database at its limit and a disk without space: which it was, the disk tells.
func (d *Database) failed(i int, err error) error {
	if e, ok := errors.AsType[*native.Error](err); ok && e.Primary() == native.CodeFull {
		const enough = 1 << 20
		if free, ok := freeSpace(d.dir); ok && free > enough {
			return &Error{
				Code:    CodeLimit,
				Message: fmt.Sprintf("Exceeded maximum DB size: the database would have more than %d bytes, so nothing was changed. Delete rows, or raise d1.max_size.", d.maxSize),
				Err:     err,
			}
		}
	}
	return &QueryError{Index: i, Err: err}
}
