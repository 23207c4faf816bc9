// Package grammar keeps what a model writes to JSON of a schema. Before each token it
// says which tokens may come: a bit for each of the vocabulary.
//
// # How
//
// A schema is compiled to nodes ([Compile]). A place in a text is a stack of frames, one
// for each value that is open; where a schema leaves a choice there are several such
// stacks at once. A set of stacks is a state, and bytes lead from state to state. States
// are made when they are met and kept, so that a mask is worked out once for each state:
// all later ones are a look-up. Tokens are walked as a trie of their bytes.
//
// # Invariants
//
//   - Every text that ends when Matcher says it may is JSON, and valid for the schema.
//   - Every state knows how many bytes it takes at least to end from it. A token is let
//     in only if what is left of max_tokens is enough to end after it, each byte a token
//     of its own. So an answer is whole however short it was cut, or refused at the start.
//   - From every state that is reached something may come, or the end.
//   - What a schema asks that cannot be kept (pattern, say) is an error of Compile.
//     Nothing is ignored that decides over validity.
//
// A schema's properties come in its order. The number of states that are kept is bounded.
package grammar
