// Package blocks multiplies with matrices whose weights are quantised in blocks,
// as GGUF files store them: Q4_0, Q8_0, Q4_K and Q6_K
// (https://github.com/ggml-org/llama.cpp/wiki/Tensor-Encoding-Schemes).
//
// Matrices stay as they lie in the file; a row is one output. Activations are
// quantised too, 32 at a time by a scale of their own, so that the inner loops
// are products of 8-bit integers.
//
// There are two ways through a matrix. [Matrix.MulVector] is for one vector: it
// reads each row once and is bound by the memory. [Matrix.MulPanel] is for
// several: it unpacks 32 rows to bytes, interleaved as the instructions want
// them, and runs all vectors over them, so that unpacking is paid once.
//
// Each operation has a portable version in Go, which defines it, and one in
// assembly for AVX-512 with VNNI; those for one vector, and of attention, for
// AVX2 too. Which one runs is decided once, at start. They agree to the rounding
// of float32 sums. Types of 16 and 32 bits are read here
// ([Type.Floats]), but not multiplied with.
package blocks
