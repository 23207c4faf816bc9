// Package d1 is the service that owns the SQLite databases of apps: it creates,
// finds and deletes them, opens them on demand, and runs statements on them. It
// knows no HTTP; the doors translate.
//
// # A call's way
//
//	Database.Do ──all statements only read──▶ a reader, in one snapshot ──▶ rows
//	      └──────────one writes───────────▶ the writer: BEGIN … COMMIT, fsync ──▶ rows
//
// Every open database has one writing connection and several that only read.
// Writes that wait while a commit is syncing share the next commit and its fsync
// (group commit). Each keeps its own failure to itself: a batch runs in a
// savepoint, and when the shared transaction is lost (a full disk, INSERT OR
// ROLLBACK, a foreign key that was deferred to the commit) its calls run again,
// each in a transaction of its own.
//
// # Invariants
//
//   - When Do returns nil, what it wrote is in the write-ahead log and synced
//     (durability "full"): it survives kill -9 and power loss. A later read sees it.
//   - When Do returns an error, nothing of that call is in the database.
//   - Readers never wait for the writer, nor it for them.
//   - Nobody sees what is not on disk yet: SQLite makes a transaction visible
//     after it has synced it.
//   - A bookmark is larger, compared as a string, than every one given out before
//     it by the same database, also across restarts.
//   - At most MaxOpen databases are open that nobody uses.
package d1
