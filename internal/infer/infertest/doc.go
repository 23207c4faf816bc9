// Package infertest makes models of real architectures and sizes, with seeded
// random weights, and computes what they answer in float64, slowly and in the
// plainest way: for tests and benchmarks.
//
// Trained models have a few channels in which activations are 10 to 30 times as
// large as elsewhere; a model that is quantised well without them says little.
// [Spec.Outliers] plants them where trained ones have them, in the gains of the
// normalisations, and in the matrices before and inside of the feed-forward
// part as well.
package infertest
