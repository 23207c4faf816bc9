//go:build !race

package edge_test

import "testing"

// TestHotPathAllocations holds the promise of the package comment. The race
// detector allocates by itself, so the runner has a part without it.
func TestHotPathAllocations(t *testing.T) {
	r := testing.Benchmark(BenchmarkHello)
	if n := r.AllocsPerOp(); n > 1 {
		t.Errorf("%d allocations a request, want the ray's only", n)
	}
}
