// Package httpcache holds the rules of a shared HTTP cache (RFC 9111, with the
// targeted fields of RFC 9213) as the original platform applies them: whether a
// response may be stored and for how long, and which part of a stored one
// answers a request (RFC 9110, sections 13 and 14). It stores nothing itself.
//
// Where the platform and the RFC differ, and what holds here:
//
//   - A response that says nothing of its freshness is kept for a time that
//     depends on its status (see [Judge]); there is no heuristic from
//     Last-Modified.
//   - A response with Set-Cookie is not stored, unless Cache-Control says
//     private="Set-Cookie" (or no-cache="Set-Cookie"): then it is, without that field.
//   - no-cache means "not stored": there is nobody to revalidate with.
package httpcache
