// Package vectorize is the service that owns vector indexes: it creates, finds and
// deletes them, opens them on demand, takes mutations and answers queries. It knows
// no HTTP; the doors translate (package vecjson has the JSON they share).
//
// # A mutation's way
//
//	Index.Upsert ──check──▶ writer ──one frame a group, one fsync──▶ log ──apply──▶ memory ──▶ acknowledged
//
// # Invariants
//
//   - What was acknowledged is in the log, on disk, and visible to every later query.
//   - A mutation is applied whole or not at all: all of its vectors were checked before
//     any of it reached the log.
//   - The state is a function of the log: what is in memory is what replaying it makes.
//   - A frame of the log that does not check, with a later frame behind it, was once
//     acknowledged: the index is refused ([CorruptError]) and nothing of it is served.
//     Only the last frame may be cut off, because its mutations were not acknowledged.
//   - Vectors of one namespace are stored together: a query in a namespace costs what
//     the namespace holds, not what the index holds.
//   - An index is open in one process (the lock on the data directory sees to it).
package vectorize
