// Package decodertest makes models that write text, for tests and measurements:
// real architectures, tokenizers and formats, with random weights. The same seed
// gives the same model.
package decodertest
