package vectorize

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/store"
)

// TestTidy: what comes out of memory has no graph, and gets one when it has waited for
// more of its size in vain.
func TestTidy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows, dims = 2500, 4
		st, err := store.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{Store: st, FlushRows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{dims, Euclidean}}); err != nil {
			t.Fatal(err)
		}
		x := open(t, s, "x")
		r := rand.New(rand.NewPCG(1, 2))
		vectors := make([]Vector, rows)
		for i := range vectors {
			vectors[i] = Vector{ID: fmt.Sprint(i), Values: []float32{r.Float32(), r.Float32(), r.Float32(), r.Float32()}}
		}
		if _, err := x.Upsert(t.Context(), vectors); err != nil {
			t.Fatal(err)
		}
		flat := func() []bool {
			synctest.Wait()
			x.mu.RLock()
			defer x.mu.RUnlock()
			var out []bool
			for i := range x.segs {
				out = append(out, x.segs[i].vectors.Config().Flat)
			}
			return out
		}
		time.Sleep(tidyAfter - time.Second)
		if got := fmt.Sprint(flat()); got != "[true]" {
			t.Errorf("segments without a graph at first: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := fmt.Sprint(flat()); got != "[false]" {
			t.Errorf("segments without a graph after a while: %s", got)
		}
		if found, err := x.Query(&Query{Vector: vectors[7].Values, TopK: 1}); err != nil || found[0].ID != "7" {
			t.Errorf("found %v: %v", found, err)
		}
		x.Release()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}
