// Package dialect is how one model is talked to: it makes the tokens of its prompt from
// a conversation, by the model's own chat template, holds its answer to JSON or to a
// call where that was asked for, and reads the calls of tools out of what it writes.
//
// # Invariants
//
//   - What people write is text. A message with the text of one of the model's special
//     tokens (that which ends a turn, say) does not become that token.
//   - A template's work is bounded, and its refusal is an error for the caller.
//   - Nothing that was asked for is left out: a model whose template has no place for
//     tools refuses them.
package dialect
