package vectorize

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestScores holds the scores of memory and of a segment against the metrics'
// definitions, in 64 bits: within 1e-4, with the sign and the order of the platform.
func TestScores(t *testing.T) {
	const n, dims = 600, 96
	definitions := map[Metric]func(q, v []float32) float64{
		Cosine: func(q, v []float32) float64 { return inner(q, v) / math.Sqrt(inner(q, q)*inner(v, v)) },
		Euclidean: func(q, v []float32) float64 {
			return math.Sqrt(max(0, inner(q, q)+inner(v, v)-2*inner(q, v)))
		},
		Dot: func(q, v []float32) float64 { return -inner(q, v) },
	}
	for metric, definition := range definitions {
		for _, flush := range []int{1 << 20, n} { // in memory, in a segment
			s := newService(t, t.TempDir(), flush)
			if _, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{dims, metric}}); err != nil {
				t.Fatal(err)
			}
			x := open(t, s, "x")
			r := rand.New(rand.NewPCG(3, 4))
			vectors := make([]Vector, n)
			for i := range vectors {
				vectors[i] = Vector{ID: fmt.Sprint(i), Values: make([]float32, dims)}
				for j := range vectors[i].Values {
					vectors[i].Values[j] = float32(r.NormFloat64())
				}
			}
			if _, err := x.Upsert(t.Context(), vectors); err != nil {
				t.Fatal(err)
			}
			q := make([]float32, dims)
			for j := range q {
				q[j] = float32(r.NormFloat64())
			}
			found, err := x.Query(&Query{Vector: q, TopK: 50, ReturnValues: true})
			if err != nil || len(found) != 50 {
				t.Fatalf("%d found: %v", len(found), err)
			}
			for i := range found {
				if want := definition(q, found[i].Values); math.Abs(float64(found[i].Score)-want) > 1e-4 {
					t.Errorf("%s: the score of %s is %v, want %v", metric, found[i].ID, found[i].Score, want)
				}
				if i > 0 && (metric == Cosine) != (found[i].Score <= found[i-1].Score) && found[i].Score != found[i-1].Score {
					t.Errorf("%s: %v comes after %v", metric, found[i].Score, found[i-1].Score)
				}
			}
			x.Release()
		}
	}
}

func inner(a, b []float32) float64 {
	var s float64
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}
