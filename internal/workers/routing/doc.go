// Package routing knows the patterns by which workers are put on the hostnames
// of a zone, and finds the one that a request falls to. It has no state and knows
// neither the network nor the store.
//
// # Patterns
//
//	[http://|https://][*]host[/path][*]
//
// A "*" may stand at the beginning of the host and at the end of the path, and
// means any characters, also none: *.example.com is every name below example.com,
// *example.com that name too. Without a path, it is "/". Without a scheme, both
// match. The path is compared byte by byte with the request's path and query,
// upper and lower case being different; so a query is matched by a "*" alone.
//
// # Which one counts
//
// The most specific: a whole host before one with "*"; of hosts with "*" the
// longer; then the longer path; then the path without "*"; then the pattern with
// a scheme. No two different patterns are equally specific for a request.
package routing
