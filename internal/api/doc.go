// Package api is the door through which wrangler and the selvage command come in: an HTTP API under
// /client/v4 whose answers have the shape that the unmodified wrangler reads.
//
// One table ([routes]) lists every endpoint with the scope its caller needs, the largest body it
// takes and its handler. The door itself does what is the same for all of them: it matches the
// path, authenticates, bounds the body, recovers panics, writes the envelope, the access log and the
// metrics. A handler decodes, calls one service and returns a result or an error.
//
// Invariants:
//
//   - No handler runs before its caller was authenticated and allowed, but for those whose route says
//     Ticket: they take a signed, expiring ticket bound to account, object and action.
//   - The path is matched as it came, percent-encoded, one segment at a time: a%2Fb is one name.
//   - Every answer under /client/v4 is a v4 envelope, errors and panics included, except where the
//     platform's own API answers otherwise (script content, log streams).
//   - A body is never read beyond the bound its route gives, and JSON is decoded because the endpoint
//     takes JSON, never because of a Content-Type.
//   - What this release does not offer is refused by name, never dropped in silence.
package api
