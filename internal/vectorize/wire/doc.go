// Package wire is what the API and the bindings have in common of Vectorize: how
// calls are read, and how answers are written, as JSON. Errors are of type
// [*vectorize.Error], or the reader's own.
package wire
