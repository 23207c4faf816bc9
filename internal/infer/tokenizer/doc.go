// Package tokenizer turns text into the numbers that a model was trained on. It
// reads the tokenizer.json of the Hugging Face format: a normaliser, a
// pre-tokeniser, a model (WordPiece, BPE or Unigram), a template that puts
// special tokens around the result, and added tokens that are cut out of the
// text before all else.
//
// A file is taken to be hostile: what it leaves out or asks for that does not
// exist is an error when it is read, not a surprise when text comes. What a
// text costs is bounded: once as many tokens are there as were asked for, the
// rest of it is not read.
//
// Results are those of the reference, the Rust library "tokenizers"; tests
// compare with its JavaScript port on random Unicode.
//
// A Tokenizer is safe for concurrent use.
package tokenizer

import "errors"

// ErrInvalid is what is wrong with a tokenizer.json that breaks the format.
var ErrInvalid = errors.New("invalid tokenizer.json")

// ErrUnsupported is a part of a tokenizer.json that exists, but not here.
var ErrUnsupported = errors.New("unsupported in tokenizer.json")
