// Package sandbox confines a process before it runs a program that is not
// trusted. It is the child's side: package supervise re-executes this very
// program under the name [Name], with a [Spec] as its only argument, in new
// namespaces; [Main] then builds what the program may see, gives up what it must
// not have, and becomes the program by execve. Nothing is left running in between.
//
// # Layers
//
// Each holds by itself, so that a hole in one is not a hole in all:
//
//	network      a namespace of its own, in which not even loopback is up. Abstract
//	             unix sockets belong to it too, so others' cannot be reached
//	files        a mount namespace whose root is an empty, read-only tmpfs with the
//	             program, its libraries, two devices, and the private folder; the
//	             rest of the machine is not mounted anywhere in it
//	processes    a process id namespace, in which there is nobody else to signal or
//	             to look at; no /proc
//	privileges   no_new_privs, no capability, an empty bounding set
//	system calls a seccomp filter: no socket but unix ones, and nothing of what a
//	             JavaScript runtime never needs and kernels were broken through
//	landlock     file access to what the root holds anyway, no TCP, no signals and no
//	             abstract sockets out of the domain
//
// The first three need CAP_SYS_ADMIN, or user namespaces for unprivileged users.
// Where neither is to be had, Spec.Namespaces is false and the last three remain:
// then the process still has no network and cannot open foreign files, but it can
// connect to any unix socket that its user may connect to, another worker's
// included. Whoever decides to go on without must say so; see supervise.Isolation.
//
// # Invariants
//
//   - What a Spec asks for is done or the program is not started (exit code
//     [ExitFailed] and one line on standard error). Nothing is skipped silently.
//   - The program gets its arguments, its environment, descriptors 0 to 2 and
//     Spec.Files more, and nothing else that is open.
//   - The mounts live in the process's own namespace: they are gone when it ends,
//     however it ends.
package sandbox
