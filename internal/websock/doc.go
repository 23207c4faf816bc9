// Package websock is the server's side of a WebSocket (RFC 6455) on which the
// platform sends text and the client says little: what "wrangler tail" needs.
//
// It exists beside the libraries there are because wrangler sends its first message
// in a frame without a mask, which each of them rightly refuses. Here exactly that is
// let through: a first data frame that is not masked. Everything else keeps to the
// RFC.
//
// # Invariants
//
//   - A frame's length is checked before a byte of it is read; nothing is allocated
//     for what is too long.
//   - Extensions are never agreed to, so a reserved bit is an error.
//   - A ping is answered with its own payload, also while a message is being written.
//   - After a close frame was sent nothing follows it, and after one was received it
//     is echoed. The connection is closed within closeTimeout of the first of them.
package websock
