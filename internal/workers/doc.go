// Package workers is the service that owns scripts: their immutable, numbered
// versions, their deployments, secrets and static assets, the processes that
// run them, and the mapping from a hostname to the version that answers. It
// knows no HTTP; the doors translate.
//
// # A version's way
//
//	upload → validate → start its process → ready → one transaction → version
//	             │            │ fails: 10021         (script, version, blobs and,
//	             └ refused    └ nothing changed        for a PUT, the deployment)
//
//	deploy → the version answers → transaction → routes switch → old one drains
//
// # A process's way
//
//	(none) ──first Acquire──▶ starting ──ready──▶ running ──idle, replaced, evicted──▶ draining ──▶ (none)
//	   ▲                         │ fails             │ dies
//	   └────────── backoff ◀─────┴───────────────────┘
//
// # Invariants
//
//   - What a call acknowledged is in one committed transaction, and every blob
//     that the transaction names was on disk before it.
//   - A route switches to a version only after that version answered. The
//     process it replaces ends when its last request has ended, or when the
//     drain bound has passed.
//   - An Acquire never gets a process that has begun to stop: the count of
//     requests in flight and the stop mark are one atomic word.
//   - One process of a version accepts requests at a time, or, while it is hot and
//     has no Durable Objects open, up to Options.WorkerProcesses. A process that has
//     objects open is the only one of its version.
//   - The text of a secret exists sealed on disk, and in the clear only in the
//     memory of the call that seals it or of the start that hands it over.
//   - Opening the service reads no script: its cost does not grow with them.
//   - A blob is deleted only when no version and no open upload refers to it.
package workers
