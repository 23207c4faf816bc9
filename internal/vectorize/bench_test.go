package vectorize

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/selvage-dev/selvage/internal/ann/anntest"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

const benchDims = 384

func benchVectors(b *testing.B, from, n int) []Vector {
	b.Helper()
	rows := anntest.NewClustered(benchDims, 11).Rows(from, n)
	out := make([]Vector, n)
	for i := range out {
		out[i] = Vector{ID: fmt.Sprint("v", from+i), Values: rows[i*benchDims : (i+1)*benchDims]}
	}
	return out
}

func benchIndex(b *testing.B, flush int) *Index {
	b.Helper()
	st, err := store.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: flush})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Create(b.Context(), account, CreateOptions{Name: "x", Config: Config{benchDims, Cosine}}); err != nil {
		b.Fatal(err)
	}
	x, err := s.Open(b.Context(), account, "x")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		x.Release()
		_ = s.Close()
		_ = st.Close()
	})
	return x
}

// BenchmarkReadLines is what the JSON of a batch costs.
func BenchmarkReadLines(b *testing.B) {
	var lines []byte
	for _, v := range benchVectors(b, 0, 250) {
		lines = append(vecjson.Append(lines, &v), '\n')
	}
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		if _, err := vecjson.ReadLines(bytes.NewReader(lines), 250, benchDims); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpsert is a batch on its way from the check to the acknowledgement, without
// segments.
func BenchmarkUpsert(b *testing.B) {
	x := benchIndex(b, 1<<30)
	vectors := benchVectors(b, 0, 250)
	for b.Loop() {
		if _, err := x.Upsert(b.Context(), vectors); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueryMemory asks an index all of which is in memory.
func BenchmarkQueryMemory(b *testing.B) {
	for _, rows := range []int{1000, 4000, 16000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			x := benchIndex(b, 1<<30)
			if _, err := x.Upsert(b.Context(), benchVectors(b, 0, rows)); err != nil {
				b.Fatal(err)
			}
			q := benchVectors(b, 1<<20, 1)[0].Values
			for b.Loop() {
				if _, err := x.Query(&Query{Vector: q, TopK: 10}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
