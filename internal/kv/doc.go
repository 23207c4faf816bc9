// Package kv is the service that owns KV namespaces: their titles, and the
// keys, values, metadata and expirations in them. It knows no HTTP; the doors
// translate.
//
// # On disk
//
//	selvage.db        kv_namespaces: id, account, title
//	kv/<id>/kv.db     the keys of one namespace, with metadata and small values
//	kv/<id>/values/   a file for each value of more than InlineSize bytes
//
// Every namespace is a database of its own, so that one tenant's writes wait for
// nobody else's and deleting a namespace deletes a folder. Databases are opened
// when they are used; the ones used longest ago are closed when there are more
// than Options.MaxOpen.
//
// # A value's way
//
//	Stage ── small: in memory ─────────────┐
//	      └─ large: file, synced, in place ┴─▶ Put: one transaction ─▶ old file removed
//
// # Invariants
//
//   - What a call acknowledged is committed and synced, and the file that a row
//     names was synced before the row. A crash may leave a file that no row
//     names, which Sweep removes; never a row whose file is missing.
//   - A read that begins after a write was acknowledged sees that write, or a
//     later one. There is no eventual consistency: the cache forgets a key after
//     the commit and before the acknowledgement, and a reader that was under way
//     meanwhile cannot put back what it read before (see cache).
//   - A key is invisible from the second it expires at, whether or not its row
//     was reclaimed yet.
//   - List is a range of the primary key and reads a bounded number of rows,
//     whatever the namespace holds. A cursor is good for its own namespace and
//     prefix alone, and none can be made up.
//   - A namespace that is being deleted takes no new call; those under way end
//     first. Its id is never used again.
package kv
