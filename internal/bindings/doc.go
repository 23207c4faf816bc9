// Package bindings is the door through which a running worker comes back in.
//
// A worker's process has no network. What it may reach, it reaches through unix
// sockets in its private folder, which a Server makes and answers:
//
//	egress.sock   the global outbound: fetch(), WebSocket clients, connect()
//	d1-N.sock     a D1 database that the version binds
//	assets.sock   env.ASSETS.fetch(), when the version has static assets
//	kv-N.sock     a KV namespace that the version binds, see kvHandler; served by
//	              package unixhttp
//	cache.sock    caches.default and caches.open()
//	ratelimit.sock  limit() of the rate limiting bindings, when the version has any
//
// Each running version has its own door, with its own connection pool: a
// connection that one version was allowed to open is never lent to another.
// Whatever arrives on these sockets was written by a tenant, perhaps by one that
// broke out of the runtime, and is treated so.
//
// # What the runtime sends on egress.sock
//
// Stock workerd with style = host, forwardedProtoHeader = "selvage-proto" and
// cfBlobHeader = "selvage-cf" sends each fetch() as an origin-form HTTP/1.1
// request with the URL's host in Host and its scheme in selvage-proto; it
// overwrites what the worker set under these names. The options of fetch's cf
// object arrive in selvage-cf; those of the cache are honoured, others dropped.
// A plain connect() arrives as CONNECT host:port without a Host field.
//
// connect() with secureTransport "on" and startTls() never get that far: stock
// workerd has no TLS for a socket that runs through a service binding, and fails
// by itself with "proxy request failed, cannot connect to the specified address"
// (with "startTls() is not supported on this connection." for the other). A
// worker that needs TLS to a database goes through fetch(), or through a plain
// socket to a proxy that adds TLS.
//
// # What the runtime sends on cache.sock
//
// match is a GET with Cache-Control: only-if-cached and the fields of the request
// it was given. Only an answer with CF-Cache-Status: HIT is a match, whatever its
// status. put is a PUT whose body is the response: status line, fields, an empty
// line, the body without framing of its own, even where the fields say "chunked".
// Its answer is not looked at. delete is a PURGE: 200 for true, 404 for false. A
// cache of caches.open is named by CF-Cache-Namespace, percent-encoded.
//
// # Invariants
//
//   - A worker sees its own zone of the cache, and counts in the namespaces that
//     its bindings name: both are known here, not taken from a request.
//   - The address that is dialled is the one that was checked: names are resolved
//     here, once per connection, only allowed addresses are tried, and the socket
//     is checked again after its address is fixed and before it connects. So an
//     answer that changes between two look-ups, or mixes public with private
//     addresses, gains nothing.
//   - Only globally reachable unicast addresses are allowed, after taking apart
//     the forms that carry an IPv4 address inside an IPv6 one, and none that this
//     machine itself has. A rule of the worker (or of the platform) adds to that by
//     prefix and port. Port 25 takes a rule that names ports.
//   - Names are looked up rooted: the machine's search domains do not apply.
//   - Redirects are not followed here. The runtime follows them, and each hop
//     comes through this door again.
//   - Bodies are passed on as they come, both ways at once, never decompressed.
//   - Fields that the platform speaks with (selvage-*, CF-Connecting-IP, CF-Ray,
//     CF-Worker and so on) neither leave nor come back as a tenant or an origin
//     wrote them.
//   - Close leaves no goroutine, connection or socket file behind.
//
// # What a worker sees when a request cannot be made
//
// An answer rather than a thrown error, so that it can say why: plain text, and
// the field selvage-error, which no origin can forge. The status codes are those
// that the original platform answers with.
//
//	400  egress-invalid      not a request that fetch() makes: host, port, scheme
//	403  egress-refused      the address or port is not allowed; needs an egress rule
//	503  egress-busy         the worker has too many requests in flight
//	508  egress-loop         requests to the platform's own hostnames nest too deeply
//	520  egress-upstream     the origin's answer is not HTTP, or its header is too big
//	521  egress-connect      the origin refused the connection
//	522  egress-timeout      the origin did not take the connection in time
//	523  egress-unreachable  no route to the origin
//	525  egress-tls          TLS handshake failed
//	526  egress-certificate  the origin's certificate is not valid for the name
//	530  egress-dns          the name does not resolve
//
// For connect() the runtime turns every one of them into the error "proxy request
// failed, cannot connect to the specified address"; the log has the reason.
// An answer that breaks off in its body breaks off for the worker too.
// A URL whose path holds a "%" that is not followed by two hexadecimal digits is
// answered with a bare 400 by the HTTP server in front of this code.
//
// # Requests to the platform's own hostnames
//
// Options.LocalHost says which names are served by this platform's edge. fetch()
// to them goes into the edge through Options.DialLocal, as HTTP/1.1 with two
// fields that the edge trusts on such connections only: selvage-proto, the scheme
// of the URL, and selvage-depth, the number of such steps so far. connect() to
// them is refused, since its bytes could forge these fields.
//
// The edge hands selvage-depth to the worker, and a worker that passes its
// request on (fetch(request)) hands it back, so a loop of that kind ends after
// Limits.MaxDepth steps. A worker that builds a new request loses the field, or
// may leave it out on purpose; then Limits.MaxLocal ends the loop: every step
// holds one of the script's slots until the inner ones are answered. Both are
// answered with 508. When the visitor goes away, the whole chain is cancelled.
package bindings
