// Package gguf reads GGUF files, versions 2 and 3: typed key-value pairs and
// the places of tensors, little endian
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
//
// A file is mapped, not read: opening costs what its metadata takes, and tensors
// are pages of the file. Nothing in a file is believed: every count is checked
// against the bytes that are there before anything is made of that size, so a
// hostile file gives [ErrInvalid], and not a crash or an allocation of its
// claimed size.
package gguf
