// Package build makes a table of words from the files of WordNet.
//
// An entry of the dictionary, its words, its explanation and the words of the entries
// it points to, is a small bag of words that belong together. Words that share bags more
// often than chance says have a positive mutual information; the largest singular
// vectors of the matrix of these are the words' vectors (Levy and Goldberg, "Neural
// word embedding as implicit matrix factorization", 2014; Halko, Martinsson and Tropp,
// "Finding structure with randomness", 2011).
//
// The same files and options give the same bytes on the same kind of processor, however
// many there are: all sums are in a fixed order, and the random start is seeded. Another
// kind may fuse a multiplication with an addition, and round the last bit otherwise.
package build
