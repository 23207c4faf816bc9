// Package keeper is the process in which containers live: the first of a process
// namespace of its own, with a mount namespace of its own. It exists so that nothing
// survives the platform: when the platform dies the kernel kills the keeper, and with
// the keeper everything in its process namespace; the mounts of images go with its
// mount namespace, and the networks of containers with the last process in them.
//
// The keeper does no more than must be done in there: it mounts, runs runc, waits for
// what runc started, and says how it ended. Everything else is done by the platform,
// which asks over a socket that nobody else has ([Keeper]).
//
// # Invariants
//
//   - Whatever the keeper starts is in its process namespace, or below it.
//   - What it writes of its own lies on a tmpfs that only it has mounted.
//   - A signal to a container reaches that container: its first process is a child of
//     the keeper, and its id is not used again before the keeper has waited for it.
//   - Names in a container's files (users, groups) are looked up beneath its root, in
//     regular files of bounded size.
//
// The folders into which containers write are on the platform's disk, and control
// groups in the kernel's: these two are swept when the driver is opened again.
package keeper
