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
//
// How it finds, and why so. The numbers are of clustered vectors as package
// anntest makes them, on one core of a shared machine, by processor time: what
// counts is how they compare. Below, a pair is recall@10 and microseconds a
// query.
//
//   - Codes have four bits a dimension, with a scale that makes their estimate
//     right on average (type codes). 50,000 × 768, the best 20 candidates
//     compared as they are, recall@10 and queries a second at 32, 64 and 128
//     candidates: four bits 0.991, 0.996, 1.000 and 20,160, 14,692, 9,481; eight
//     bits 0.991, 0.994, 1.000 and 19,252, 12,440, 8,195. So eight bits cost
//     twice the memory and find nothing more. A graph built on four bits
//     finds as much as one built on eight. Up to 256 dimensions, where errors
//     even out less and codes are small beside the graph, codes have eight.
//   - The graph has one level, 32 neighbours a row, and the square root of the
//     rows as entries, which are all looked at first, in a copy that stays in the
//     processor's cache; the walk begins at the best 8. Codes and graph are the
//     memory that a segment holds: 0.17 of its float32 at 768 dimensions.
//   - A row's neighbours are chosen from 176 candidates. 100,000 × 768, at 16, 24
//     and 32 candidates of a search: from 64, 0.952, 0.968, 0.975; from 128,
//     0.965, 0.983, 0.985; from 220, 0.980, 0.991, 0.993. Building took 14, 25
//     and 31 seconds of processor time, where USearch with int8 took 43.
//   - How many candidates are compared as they are depends on what the estimates
//     were worth for the first of them (type spread). That is 12 instead of 40 of
//     100,000 × 768, and the same recall to 0.0003.
//   - Lists of neighbours and vectors are asked of the memory before they are
//     needed, and a query is quantised without branches. With all of this a
//     search of 100,000 × 768 with 16 candidates takes 28 µs instead of 40, with
//     64 it takes 60 instead of 90.
//   - On AVX-512 the high halves of 4-bit codes are multiplied where they are, as
//     16 times their value, and not shifted first. Read from memory in order they
//     come at 0.8 of what a thread can read at most.
//   - With a filter, up to 10,000 rows or 1 % have their codes scanned, and more
//     are walked among (searchAllowed). 100,000 × 768, recall@10 above 0.995
//     each: 0.1 % of the rows kept 123,000 queries a second, 1 % 28,000, 10 %
//     6,200, 50 % 4,600, and the same where the rows kept are all of one region.
//   - Vectors of very different lengths are harder with distances and products
//     than directions are: short vectors are near to all others, hide these from
//     each other, and lists were left with 11 of 32 places taken. All places are
//     filled now. 30,000 × 768, lengths log-normal with 0.3, 130 candidates:
//     distances had recall 0.954 and have 0.987; products have 0.998. With
//     cosine nothing changes.
package ann
