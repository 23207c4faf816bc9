// Package sqlite is the one way to open an SQLite file.
//
// Every database has one writing connection and a pool of read-only ones, in
// WAL mode, so that readers and the writer never wait for each other. Writes of
// several goroutines that arrive while another commit is syncing share one
// transaction and one fsync (group commit): each runs inside its own savepoint,
// so that the failure of one undoes that one alone.
//
// Invariants:
//   - When [DB.Write] returns nil, the change is in the write-ahead log and
//     synced (synchronous=FULL): it survives kill -9 and power loss.
//   - When it returns an error that its function did not return, nothing of
//     that call is in the database.
//   - A later read, on any connection of the pool, sees the change.
//   - A cancelled context never interrupts a statement of the writer: SQLite
//     would roll back the whole transaction, other callers' parts included.
//     Contexts are looked at between statements.
//
// Errors of a full or read-only disk satisfy errors.Is with fsx.ErrNoSpace and
// fsx.ErrReadOnly.
package sqlite
