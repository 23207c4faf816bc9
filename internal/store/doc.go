// Package store is the control plane's state on disk: one SQLite database, a
// folder of content-addressed blobs and the master key, all in one data
// directory that one process at a time may open.
//
//	<data>/lock          held by the process that has the directory open
//	<data>/selvage.db    the database (tables: migrations/*.sql)
//	<data>/blobs/ab/…    content by SHA-256; blobs/tmp holds uploads in flight
//	<data>/keys/master   32 random bytes as hex, mode 0600
//
// Invariants:
//   - The directory has a version (the database's user_version). An older one is
//     migrated at Open, in one transaction. A newer one is refused with
//     [*NewerError] and left as it is.
//   - A blob is on disk, synced, before its id is known to anybody; so a row
//     that names a blob never dangles after a crash, and a blob that no row
//     names is garbage that Sweep takes.
//   - Secrets are in the database only as Seal leaves them. The database knows
//     the id of the key they are sealed with; another key, or none, is refused
//     at Open and not found out at the first secret.
package store
