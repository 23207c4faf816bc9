package ann

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestEstimates compares what codes say with the truth: small errors, and none
// in one direction.
func TestEstimates(t *testing.T) {
	for _, m := range []Metric{Cosine, Euclidean, DotProduct} {
		for _, bits := range []int{4, 8} {
			for _, dim := range []int{1, 100, 128, 768} {
				base, queries := clustered(m, dim, 400, 20)
				norms := make([]float32, base.Len())
				for i := range norms {
					norm, err := Config{Dim: dim, Metric: m}.norm(base.row(i))
					if err != nil {
						t.Fatal(err)
					}
					norms[i] = float32(norm)
				}
				e := newEncoder(Config{Dim: dim, Metric: m}, bits, base.vectors, norms)
				e.codes.data = make([]byte, e.codes.size(base.Len()))
				if err := e.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				bias, worst := estimateErrors(e, queries)
				bound := map[int]float64{4: 0.12, 8: 0.02}[bits]
				if worst > bound || math.Abs(bias) > bound/10 {
					t.Errorf("%s, %d dimensions, %d bits: worst error %.4f, mean %.5f of the lengths", m, dim, bits, worst, bias)
				}
			}
		}
	}
}

// estimateErrors returns the mean and the largest error of a product, as parts
// of the lengths of what is multiplied.
func estimateErrors(e *encoder, queries table) (bias, worst float64) {
	var q codedQuery
	n, v := len(e.norms), make([]float32, e.cfg.Dim)
	ranks, rows := make([]float32, n), make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(i)
	}
	for i := range queries.Len() {
		query := queries.row(i)
		e.codes.query(&q, query)
		e.codes.rank(ranks, &q, rows)
		var qr float64
		for j, x := range query {
			d := float64(x - e.codes.center[j])
			qr += d * d
		}
		for row := range rows {
			var want float64 // <q,x> - <q,center>, less |x|²/2 with distances
			for j, x := range e.unit(v, row) {
				want += float64(query[j]) * (float64(x) - float64(e.codes.center[j]))
				if e.cfg.Metric == Euclidean {
					want -= float64(x) * float64(x) / 2
				}
			}
			err := (float64(ranks[row]) - want) / max(1e-3, math.Sqrt(qr*float64(e.rr[row])))
			worst = max(worst, math.Abs(err))
			bias += err / float64(n*queries.Len())
		}
	}
	return bias, worst
}

// TestRowAsQuery takes codes apart and compares them with themselves: the
// product of a row with itself is |r|² times what its own error makes of it.
func TestRowAsQuery(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, bits := range []int{4, 8} {
		for _, dim := range []int{5, 128, 300} {
			c := newCodes(dim, bits, make([]float32, dim))
			c.data = make([]byte, c.size(3))
			v, rest := make([]float32, dim), make([]float32, dim)
			for row := range uint32(3) {
				for i := range v {
					v[i] = float32(rng.NormFloat64())
				}
				rr := c.encode(row, v, rest, DotProduct)
				var q codedQuery
				c.row(&q, row)
				got := []float32{0}
				c.products(got, &q, []uint32{row})
				if self := got[0] * c.terms(row)[0]; self < rr*0.99 || self > rr*1.1 {
					t.Errorf("%d bits, %d dimensions: a row times itself is %g, its square %g", bits, dim, self, rr)
				}
				for i, x := range q.levels[dim:] {
					if x != 0 {
						t.Errorf("padding %d is %d", i, x)
					}
				}
			}
		}
	}
}

func TestZeroRest(t *testing.T) {
	for _, bits := range []int{4, 8} {
		c := newCodes(7, bits, make([]float32, 7))
		c.data = make([]byte, c.size(1))
		c.encode(0, make([]float32, 7), make([]float32, 7), Euclidean)
		var q codedQuery
		c.query(&q, make([]float32, 7))
		got := []float32{1}
		c.rank(got, &q, []uint32{0})
		if got[0] != 0 {
			t.Errorf("%d bits: zero ranks %g against zero", bits, got[0])
		}
	}
}

func FuzzFooter(f *testing.F) {
	foot := footer{dim: 3, metric: 1, bits: 8}
	f.Add(foot.encode(), uint64(1<<20))
	f.Fuzz(func(t *testing.T, b []byte, size uint64) {
		foot, reason := decodeFooter(b, size)
		if reason != "" {
			return
		}
		for p, e := range foot.extents {
			if e.offset > size || e.offset+e.size > size {
				t.Errorf("part %d lies outside", p)
			}
		}
	})
}
