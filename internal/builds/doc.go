// Package builds turns what is pushed with git into deployments of sites: it keeps
// the queue, runs each build in a sandbox, and keeps its log.
//
// A build goes through these states:
//
//	           ┌──▶ skipped     its commit says so
//	(push) ────┼──▶ queued ──▶ running ──▶ success
//	           │      │  ▲        │ └─────▶ failure
//	           │      │  └────────┤ (the platform stopped: once)
//	           │      ├──▶ superseded: a newer push of the branch came
//	           │      └──▶ canceled ◀──── (either)
//
// Invariants:
//   - A push that was accepted has its builds on disk before whoever pushed hears
//     that it was, and each ends in a state that says what became of it. One that a
//     crash cut off runs again, once; then it has failed.
//   - Of a project one build runs at a time. Among projects the one that has waited
//     longest since its last build is next, so that nobody's pushes keep another
//     from the machine.
//   - A command of a project never runs but in a sandbox with namespaces of its
//     own. Where this machine has none the build fails and says so; a folder that
//     needs no command is deployed anyhow.
//   - When a build has ended none of its processes is left: they live in a process
//     namespace that ends with its first.
//   - What it wrote is read with links followed nowhere but inside of the output
//     folder.
//   - A deployment is made at the end, in one step that is not this package's: see
//     [Sites]. There is no half of one.
package builds
