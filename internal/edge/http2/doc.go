// Package http2 is the HTTP/2 side of the edge: it turns streams into what the routing core understands
// ([wire.Request], [wire.ResponseWriter]). Frames, flow control and header compression are net/http's; how many
// connections there may be is decided before a connection gets here.
//
// Invariants:
//
//   - What the core gets from a stream is as strictly checked as what it gets from package http1: a target, a
//     host or a field that could be read in two ways once it is written in HTTP/1.1 is refused.
//   - An answer that is not finished resets its stream, so that nobody takes it for complete.
//   - A stream is never upgraded: WebSockets come over HTTP/1.1, as browsers do when a server offers nothing else.
package http2
