// Package wire is what a protocol's server loop and the edge's routing core say
// to each other: a parsed [Request], the [ResponseWriter] that answers it, and
// the vocabulary of header fields both need. HTTP/1.1 (package http1) is one
// such loop; others implement the same two sides.
//
// Strings in a Request and in the fields of a worker's answer are views of
// buffers that are used again: they are valid until Handler.ServeRequest returns.
// Whoever keeps one clones it.
package wire
