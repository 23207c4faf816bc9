// Package lexical turns English text into vectors by the words in it: each word
// has a vector of its own, made beforehand from a dictionary, and a text's is
// their weighted sum. It knows nothing of order or grammar; it costs
// microseconds, and needs no weights but one table.
//
// # Text
//
// Words are runs of letters and digits, in lower case and without plural and
// verb endings where the dictionary has the rest. Words without meaning of their
// own ("the", "of") are left out, unless there are no others. A word that the
// table lacks has a vector that is computed from its letters, so that texts which
// share a name or a number are still near each other.
//
// # Vectors
//
// Rare words weigh more: a / (a + p), with p the share of the dictionary's
// entries that have the word (Arora, Liang and Ma, "A simple but tough-to-beat
// baseline for sentence embeddings", 2017). What all texts have in common, the
// mean, is taken off, and the result has the length 1.
//
// # Table
//
// A table is one read-only piece of bytes, used where it lies: nothing is copied
// when it is opened but the places of words. Numbers are little-endian.
//
//	magic "selvlex1" | dimensions u32 | words u32 | bytes of words u32 | mean f32 × dimensions
//	words, sorted, each followed by a newline, then newlines to a multiple of four
//	scale f32 × words: what its row is multiplied by, weight included
//	rows int8 × dimensions × words
//
// [Parse] takes a table to be damaged until it has checked it.
package lexical
