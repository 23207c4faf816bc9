// Package certs has the certificates that the edge speaks HTTPS with: one that the operator brings, those that an
// ACME certificate authority (RFC 8555) issues for hosts somebody added, or those of a local authority for
// development.
//
// Where a certificate comes from, for a name a visitor asks for:
//
//	the operator's file, if it is for that name
//	→ local: signed at once by the authority in the data directory
//	→ acme:  from memory or disk; else it is ordered, and the visitor waits a while
//
// The life of a host under ACME:
//
//	(unknown) ── Manage, or a visitor asks and Known says yes ──> pending ──> ready ──> renewed in time, for ever
//	                                                          ^     │
//	                                                          └── failed: tried again, later each time, or by Retry
//
// Invariants:
//
//   - No certificate is ordered for a name that Known does not know. Nobody outside can make the platform run into
//     an authority's limits.
//   - A certificate authority that does not answer stops nothing: no request, no start, no other host.
//   - Keys are in files of mode 0600 in folders of mode 0700, written so that a crash leaves the old or the new.
//   - The local authority can vouch for names of development alone (see localNames), whoever gets hold of its key.
package certs
