// Package supervise is the only package that starts processes.
//
// Guarantees about a child:
//
//   - It gets exactly the environment, arguments and files of its [Spec];
//     nothing is inherited from the platform.
//   - It leads a process group of its own. Signals go to the whole group, and
//     when the leader exits, what is left of the group is killed before the
//     leader's id can be used again.
//   - On Linux it is killed by the kernel when the platform dies, however that
//     happens (PR_SET_PDEATHSIG). The kernel ties that signal to the thread that
//     forked, not to the process, so each child is started by a goroutine that
//     is locked to its thread and then waits there until the child is gone. That
//     costs nothing: waiting for a child blocks a thread in any case. Other
//     systems lack such a signal; there a child outlives a platform that is
//     killed outright.
//   - Its output arrives as whole lines of bounded length, however it writes
//     them.
//
// [Backoff] is the restart policy, a pure type; acting on it is the caller's
// business.
package supervise
