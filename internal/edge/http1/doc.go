// Package http1 is the edge's HTTP/1.1 server loop (RFC 9112): it accepts
// connections, reads requests strictly, hands them to a [wire.Handler] and frames
// the answers. It also has the two parsers the other side of the edge needs:
// [ResponseHead] and [Chunked].
//
// Invariants:
//
//   - A request that two readers could understand in two ways is refused and its
//     connection closed: both lengths, a length twice (even the same), any transfer
//     coding but one "chunked", bare LF, folded fields, spaces before a colon.
//     What is accepted means the same to net/http (FuzzRequest).
//   - One goroutine serves one connection. It is the only one that writes to it,
//     and the only one that reads from it, except while a handler reads the
//     body elsewhere, which it must end before it returns.
//   - A connection that waits for a request holds no buffer and no exchange.
//   - No timer and no deadline is set on the way of a request. A read or a write
//     that starts notes when it must be over; the janitor looks at these notes
//     a few times a second and makes what is late fail. Timeouts are therefore
//     up to one tick late, never early.
//   - After the last byte of an answer that ends a connection the client may still
//     be sending. The socket is closed for writing first and read for a while, or
//     the reset would take the answer away from the client.
//
// A connection's life:
//
//	waiting ──bytes──▶ head ──complete──▶ exchange ──keep-alive──▶ waiting
//	   │                │ fault              │ close, fault, tunnel ended
//	   │ idle timeout,  ▼                    ▼
//	   └─shutdown────▶ closed ◀──────────── lingering
package http1
