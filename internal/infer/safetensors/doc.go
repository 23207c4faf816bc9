// Package safetensors reads weights in the safetensors format: a header in
// JSON that names each tensor, its type, shape and place, and then the bytes
// of them all (https://huggingface.co/docs/safetensors).
//
// A file is mapped, not read: opening one of many gigabytes takes as long as
// its header, and pages that nobody reads never leave the disk. Every file is
// taken to be hostile. The header is bounded, a tensor lies inside of the file
// and has exactly the bytes that its shape asks for, and nothing is allocated
// because a number in the file says so.
//
// The bytes of a tensor are valid until its file is closed.
package safetensors

import "errors"

// ErrInvalid is what is wrong with a file that breaks the format.
var ErrInvalid = errors.New("invalid safetensors file")

// ErrMissing is a tensor, or a file, that is not there.
var ErrMissing = errors.New("missing from the model")
