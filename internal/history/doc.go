// Package history keeps the history of an SQLite file as LTX files
// (https://github.com/superfly/ltx), so that the file can be put back to the state
// after any of its transactions.
//
//	writer: commit, fsync ──note(end of the log)──▶ Recorder ──▶ segments (level 0)
//	                                                   │             │ merged
//	        checkpoint ◀──all of it recorded, synced───┘             ▼
//	                                              levels 1, 2 ──▶ snapshots (level 9)
//
// After each commit the pages that it put into the write-ahead log go into a record,
// which is a whole LTX file of one transaction; records lie one after the other in
// segments. That happens beside the writer. What the writer waits for is the
// checkpoint: the log is only ever emptied when all of it has been recorded and
// synced, so a crash at any moment loses nothing, and the log stays bounded.
//
// Transactions have numbers (TXID) that follow one another within an epoch, which is
// their upper half. An epoch begins with a snapshot of the whole file. A new one
// begins whenever the package cannot prove that the file is what it last saw and the
// log holds everything since: another process wrote to it, somebody put a copy in
// its place.
//
// Merged files of higher levels make it quick to get at a state; segments stay as
// long as the retention says, so that every transaction in it can be reached.
//
// # Invariants
//
//   - A number is given out once, also across crashes, and later ones are larger.
//   - When a checkpoint begins, every transaction in the log is in a synced file.
//   - A file of the history is there whole or not at all, except for the last
//     segment, whose torn end is cut off when it is opened: the log still has it.
//   - What is restored has passed the checksums of all files it came from.
//   - Times of transactions never run backwards.
package history
