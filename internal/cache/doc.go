// Package cache keeps responses that may be served again: the service behind the
// Cache API, the cache options of fetch and the cache in front of workers. It
// knows keys, zones, sizes and times; what may be stored, and for how long, its
// callers decide.
//
// # Shape
//
// The index is in memory: status, header fields, times, the place of the body.
// Every body is a file of its own; copies of small ones that are asked for are
// kept in memory too, and that tier can be thrown away at any time. A zone (one
// worker, unless its caller says otherwise) is what sees its own entries only.
//
//	Get ──▶ index ──▶ copy in memory ──▶ answer
//	                └▶ file ───────────▶ answer (and, when small, a copy)
//	Put ──▶ Writer ──▶ file ──Commit──▶ index
//
// # Invariants
//
//   - An entry is in the index or it is not: it comes there with its last byte, in
//     one step, and replaces what had its key. A reader of the replaced one keeps
//     its open file.
//   - Nothing here outlives the process: the index is lost with it, and the files
//     of an earlier one are removed at the next Open. So nothing is synced, and a
//     half-written body can never be served, whatever the crash. A cache that is
//     cold after a restart is slow for a moment; one that is wrong is wrong.
//   - The sum of the sizes in the index stays within MaxBytes and their number
//     within MaxEntries. An entry counts as its body in whole blocks plus its
//     header fields. Files being written count before they are in the index.
//   - What is evicted comes from the zone that takes the most: no zone can push
//     another below an equal share (max-min fairness). Within the zone SIEVE picks
//     the entry (Zhang et al., NSDI 2024): a hit costs one bit, and a scan of
//     things asked for once does not wash out the rest.
//   - An entry is not served at or after the moment it expires.
package cache
