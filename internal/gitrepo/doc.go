// Package gitrepo keeps bare Git repositories and lets the git of this machine
// work on them: what is pushed to the platform and what is fetched from it.
//
// git is the only program that reads a pack. It gets nothing from the platform
// but what is in its arguments: no configuration of the machine or of a user, no
// hooks, no terminal, no credentials; and it writes nowhere but in the one
// repository. All of its settings are on its command line, so that what a file in
// the repository says never counts.
//
// Invariants:
//   - A repository is a folder whose name is an id of the platform's own making;
//     nothing of a request becomes part of a path.
//   - A push is bounded while it comes (receive.maxInputSize), its objects are
//     checked (fsck), and a refused one leaves the repository as it was: git keeps
//     new objects in quarantine until its references move.
//   - Two pushes to a repository never run at the same time.
//   - What a push changed is never lost: [Store.Receive] writes down the heads as
//     they were before it lets git begin, and takes that back when whoever called
//     has the changes on disk. [Store.Interrupted] finds the ones a crash cut off.
//   - A tree is measured before it is written: see [Store.Checkout].
package gitrepo
