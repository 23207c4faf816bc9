// Package infer runs transformer models on the processor, in Go and assembly.
// It knows files of weights and tokens, and nothing of services, names of
// models, or who asks.
//
// An [Encoder] is a model of the BERT family: BERT, RoBERTa and XLM-RoBERTa,
// DistilBERT; for embeddings, classification or reranking. [OpenEncoder] reads
// a folder as Hugging Face lays it out.
//
// # Precision
//
// Weights are quantised to 8 bits when a model is opened, each row of a matrix
// by its own scale; activations while it runs, each token's row by its own.
// Trained models have a few channels in which activations are 10 to 30 times
// as large as in the rest, and which would leave the rest no bits. Opening a
// model therefore runs it once in float32 on random tokens, a layer at a time,
// finds these channels, and keeps their part of each product in float32.
// Normalisation is in float32; attention in 16 bits, with a scale for each token
// of queries and keys and each channel of values.
//
// The bound is a cosine of 0.999 with the model in float32. It is not taken for
// granted: opening a model compares both on the same tokens. When 8 bits are not
// enough, more channels are kept; when these do not do either, as in models
// where single channels decide all of attention and small differences grow from
// layer to layer, the weights stay in float32, and [Info] says so. The tests
// hold the bound with channels planted that count for some others, as in trained
// models, and with such that count for all.
//
// # Scheduling
//
// Sequences of all callers wait in one queue. A worker takes as many as fit
// its budget of tokens and runs them as one, each with attention to itself
// only: there is no padding, so a short text never waits for the arithmetic of
// a long one beside it. When fewer wait than there are workers, the idle ones
// help with the matrices of the one that runs. The number of workers is the
// number of threads, however many callers there are.
//
// # Memory
//
// The tables of embeddings stay in the mapped file; a row is read when its
// token comes. The matrices take a quarter of their size in float32. Each
// worker has buffers for its budget of tokens, or for the longest text that it
// met.
package infer
