// Package edge is the door through which a visitor's request comes in: it finds
// the worker version that a host is routed to, serves its static assets, sends
// everything else through one of its processes, answers with a precise page
// when there is nothing to send, and accounts for every request in the access
// log and the metrics.
//
// Server loops (package http1) parse requests and frame answers; the core here
// works on a [wire.Request] and a [wire.ResponseWriter] and knows no connection
// of a client.
//
// # What a worker is told
//
// Everything about where a request comes from is the edge's word, never the
// visitor's: CF-* and Selvage-* fields from outside are removed, always, and
// X-Forwarded-*, Forwarded, X-Real-IP and True-Client-IP are, unless the peer is a
// trusted proxy. Then the client is the right-most address in X-Forwarded-For
// that is not itself a trusted proxy.
//
// # When a request is sent twice
//
// A request may be repeated, on another connection and if need be in another
// process, as long as no byte of an answer was read and
//
//   - no connection to the process could be made, or not the whole head could
//     be written: no worker has seen a complete request; or
//   - it has no body, and the kernel says that the process closed the connection
//     with bytes of it unread (ECONNRESET on a Linux unix socket means exactly
//     that): again, no worker has seen it; or
//   - its method is idempotent (RFC 9110 section 9.2.2), its body, if any, came
//     with the head, and the connection ended without an answer. A worker may
//     have seen it, so this happens once only.
//
// A body that is streamed is gone once it was read, so from then on there is no
// second try. Everything else is answered 502. Together with the service's
// promise not to stop a process with requests in flight this makes deploys, idle
// stops and the death of a process between requests invisible.
//
// # Invariants
//
//   - An instance is released exactly once for each time it was acquired, after
//     the last byte of its answer (of its WebSocket) went through.
//   - A connection to a process goes back to its pool only after both the request
//     and the answer were complete.
//   - An answer that could not be completed ends its connection, so that nobody
//     takes it for complete.
//   - The hot path allocates nothing but the ray id.
package edge
