// Package unixhttp serves HTTP/1.1 on a worker's private socket, for bindings
// whose operations cost less than net/http's server does around them.
//
// Of a cached KV get, net/http's server took three quarters of the processor
// time outside the kernel: a goroutine that watches the connection during each
// request, a context, a response that finds out its own framing. None of that is
// needed where one runtime asks one question at a time and every answer is known
// whole. Without it a get costs this process 25 µs in place of 44, system calls
// included. The request itself is still read by net/http's parser.
//
// What it does not have, and why that is right here:
//
//   - No idle timeout. A server that closes an idle connection races with the
//     request that comes on it; these connections end with the worker's process.
//     Their number is bounded instead.
//   - No notice of a client that goes away while its request is handled: the
//     operations are short, and one that was begun is finished.
//   - A reason phrase of the handler's, which net/http does not let one choose.
//
// Invariants: one request at a time on a connection, in order; an answer is
// written whole or the connection ends; a request's head and the number of
// connections are bounded; a handler that panics costs its connection only.
package unixhttp
