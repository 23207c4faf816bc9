// Package server is the composition root: a configuration in, every part
// started in order and stopped in reverse. The command starts the platform
// through it, and so do the tests.
//
// # Life
//
//	New ──Start──▶ listening ─▶ store ─▶ logs ─▶ services ─▶ doors ─▶ serving
//	                   │           │       │         │          │        │
//	                   └───────────┴── a failure stops what was started ─┤
//	                                                                     │
//	stopped ◀── store ◀── logs ◀── services ◀── doors ◀── draining ◀──Close
//
// # Invariants
//
//   - A start that fails for a reason that could be known before has changed
//     nothing on disk: configuration, ports, workerd and free space come first,
//     then the data directory's lock and version.
//   - Ready is said only when both listeners answer.
//   - A Close is bounded by the drain timeout plus what stopping processes takes;
//     what was acknowledged is on disk in any case.
package server
