// Package registry is the service that keeps container images: repositories with
// manifests, tags and blobs, as the OCI distribution specification has them. It
// knows no HTTP; the API's door speaks the protocol.
//
// # Why not the reference implementation
//
// github.com/distribution/distribution keeps its own files without fsync, collects
// garbage only while nobody writes, and knows no accounts. What is here writes
// through package fsx into the platform's blob store, where a layer that two
// repositories share lies once, and its rows commit with the rest of the platform.
//
// # Invariants
//
//   - What was acknowledged is on disk: a blob before its row, a manifest with all
//     of its references and its tag in one transaction.
//   - A manifest that is stored names only what its repository has: nothing can be
//     pulled by halves.
//   - A digest was computed here over the bytes that are stored, whoever named it.
//   - A repository belongs to one account. Content is shared below, but nobody
//     reads a blob through a repository that it was not pushed or mounted into.
//   - Collect removes nothing that a manifest names, no manifest that has a tag, is
//     part of an index or is in use (Options.InUse), and nothing young.
package registry
