// Package ann finds the vectors nearest to a query: exactly, or approximately
// and much faster. It is the engine below the Vectorize service and knows
// nothing of ids, metadata or namespaces: a vector is a row number, 0 to
// Len()-1, of the segment that holds it. Whoever uses it keeps what belongs to
// a row beside it, and gives filters as a [Bitmap] of rows.
//
// A [Segment] is one immutable file, made by [Build] or [Merge] and opened with
// [Open]. A [Mem] holds fresh vectors in memory until they become a segment. A
// query asks both kinds with the same method, and the answers are merged with
// [MergeCandidates]; scores are comparable because they are exact: whatever
// found a candidate, its score is computed from the vector as it was given.
//
// Invariants:
//   - Row i of a segment is the i-th vector its source gave. Build and Merge
//     never reorder, and Merge only leaves out rows that were deleted.
//   - A file is complete or not there: it is written under a temporary name,
//     synced and renamed (package fsx).
//   - Nothing is served from bytes that fail their checksum. What guides a
//     search is verified when a segment is opened; a vector, when it is first
//     used. Failure is a [*CorruptError], from Open or from the call that met
//     it.
//   - Searches take no lock, wait for nobody and allocate nothing once their
//     scratch memory exists. They may run beside each other, and beside
//     Append of a Mem.
//   - A segment that is closed while searches run stays mapped until they end.
//   - A Bitmap that was handed to a search does not change while it runs: who
//     deletes rows makes a new one (Clone, Set, swap the pointer).
package ann
