// Package assets answers requests for the static assets of one deployed version.
//
// There are two kinds of Site: the assets of a Worker's version ([New]) and a Pages deployment ([NewPages]). They
// share the manifest, the rule files, encodings, conditional requests and ranges; what differs is which path an
// asset is served at, what is answered where there is none, and when code runs.
//
// A [Site] is built once from a [Manifest] (path → content), a [Config] (the options an app sets in
// its configuration file, with the raw texts of _headers and _redirects) and a [Files] (where the
// bytes are). It holds no sockets and starts no servers: the edge and the ASSETS binding hand it a
// [Request] and write the [Response] out.
//
// Invariants:
//
//   - A Site is immutable and safe for concurrent use. What it hands out as shared (Body.Bytes,
//     Header slices) is never written to again, by it or by the caller.
//   - A path from outside is only ever a key of a map. No file is opened by a name that a visitor
//     or an uploader chose; files are opened by their blob id alone.
//   - A Location that the package makes by itself never leaves the origin: it starts with exactly
//     one "/" and holds no backslash or control character. Only a rule the app wrote in _redirects
//     may point elsewhere, and what a visitor's path fills into such a rule cannot change its host
//     unless the rule asks for that with a placeholder in the host.
//   - One bad line in _headers or _redirects costs that line and a [Warning], never the Site.
//   - No rule of _redirects that sends visitors round in a circle is kept.
//   - Work per request is bounded by the length of the path and by the numbers of rules, which
//     have limits. No matching backtracks.
package assets
