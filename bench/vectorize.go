package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/ann/anntest"
	"github.com/selvage-dev/selvage/internal/fsx"
)

const (
	vectorQueries = 300
	vectorK       = 10
)

// vectorIndex is one contender: run asks every query once, on one thread.
type vectorIndex struct {
	name  string
	build time.Duration
	run   func(ef int) (time.Duration, [][]uint32, error)
	stop  func()
	at    map[float64]int // the least ef that reaches a recall
	rates map[float64][]float64
}

// vectorize races the engine below the Vectorize service with other libraries,
// each in its process without a network: same vectors, same queries, one thread.
func vectorize(ctx context.Context, b *bench) error {
	n, dim := b.vectors, b.dims
	data := anntest.NewClustered(dim, 11)
	base, queries := data.Rows(0, n), data.Rows(n, vectorQueries)
	files := [2]string{filepath.Join(b.dir, "base.f32"), filepath.Join(b.dir, "queries.f32")}
	for i, x := range [][]float32{base, queries} {
		if err := os.WriteFile(files[i], unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*4), 0o600); err != nil {
			return err
		}
	}
	seg, ours, err := b.ownIndex(ctx, base, queries, dim)
	if err != nil {
		return err
	}
	defer ours.stop()
	truth, err := exactAnswers(seg, queries, dim)
	if err != nil {
		return err
	}
	all := []*vectorIndex{ours}
	for _, name := range []string{"usearch-i8", "usearch-f32", "hnswlib", "sqlitevec"} {
		peer, err := b.vectorPeer(ctx, name, dim, files)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer peer.stop()
		all = append(all, peer)
	}
	for _, c := range all {
		if err := c.sweep(truth); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	size := float64(n) * float64(dim) * 4
	b.report.want("vectorize", fmt.Sprintf("%d × %d: memory / float32, vectors on disk apart", n, dim), float64(seg.Memory())/size, "×", "<=", 0.35)
	for _, c := range all {
		b.report.add("vectorize", c.name+": build, all cores where it can", c.build.Seconds(), "s")
	}
	b.report.want("vectorize", "build: selvage / USearch i8", ours.build.Seconds()/all[1].build.Seconds(), "×", "<=", 0.7)
	for _, target := range []float64{0.95, 0.98} {
		if err := b.raceVectors(all, target); err != nil {
			return err
		}
	}
	return b.filteredVectors(seg, queries, dim)
}

// raceVectors runs all that reach a recall in turn, round after round.
func (b *bench) raceVectors(all []*vectorIndex, target float64) error {
	for range b.rounds {
		for _, c := range all {
			if ef, ok := c.at[target]; ok {
				took, _, err := c.run(ef)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				c.rates[target] = append(c.rates[target], vectorQueries/took.Seconds())
			}
		}
	}
	best := 0.0
	for i, c := range all {
		if c.rates[target] == nil {
			b.report.add("vectorize", fmt.Sprintf("%s: never reaches recall %.2f", c.name, target), 0, "/s")
			continue
		}
		rate := median(c.rates[target])
		b.report.add("vectorize", fmt.Sprintf("%s: queries at recall@10 ≥ %.2f (ef %d)", c.name, target, c.at[target]), rate, "/s")
		if i > 0 {
			best = max(best, rate)
		}
	}
	b.report.want("vectorize", fmt.Sprintf("recall@10 ≥ %.2f: selvage / best peer", target), median(all[0].rates[target])/best, "×", ">=", 3)
	return nil
}

// sweep finds the least ef that reaches each recall.
func (c *vectorIndex) sweep(truth [][]uint32) error {
	for _, ef := range []int{10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400} {
		_, found, err := c.run(ef)
		if err != nil {
			return err
		}
		reached := recallOf(found, truth)
		for _, target := range []float64{0.95, 0.98} {
			if _, known := c.at[target]; !known && reached >= target {
				c.at[target] = ef
			}
		}
		if reached >= 0.98 {
			return nil
		}
	}
	return nil
}

func recallOf(found, truth [][]uint32) float64 {
	hits, all := 0, 0
	for i, want := range truth {
		all += len(want)
		for _, row := range want {
			if slices.Contains(found[i], row) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}

// flatVectors is a source of vectors that lie one after the other.
type flatVectors struct {
	vectors []float32
	dim     int
}

func (f flatVectors) Len() int { return len(f.vectors) / f.dim }

func (f flatVectors) Vector(dst []float32, i int) ([]float32, error) {
	return append(dst, f.vectors[i*f.dim:(i+1)*f.dim]...), nil
}

func (b *bench) ownIndex(ctx context.Context, base, queries []float32, dim int) (*ann.Segment, *vectorIndex, error) {
	path := filepath.Join(b.dir, "segment")
	began := time.Now()
	if err := ann.Build(ctx, fsx.FS{}, path, ann.Config{Dim: dim, Metric: ann.Cosine}, flatVectors{base, dim}); err != nil {
		return nil, nil, err
	}
	build := time.Since(began)
	began = time.Now()
	seg, err := ann.Open(path)
	if err != nil {
		return nil, nil, err
	}
	b.report.add("vectorize", "open a segment, checksums verified", float64(time.Since(began).Microseconds())/1000, "ms")
	run := func(ef int) (time.Duration, [][]uint32, error) {
		return askSegment(seg, queries, dim, ann.SearchOptions{K: vectorK, Ef: ef})
	}
	return seg, newVectorIndex("selvage", build, run, func() { _ = seg.Close() }), nil
}

func newVectorIndex(name string, build time.Duration, run func(int) (time.Duration, [][]uint32, error), stop func()) *vectorIndex {
	return &vectorIndex{name: name, build: build, run: run, stop: stop, at: map[float64]int{}, rates: map[float64][]float64{}}
}

// askSegment asks every query and returns how long all took.
func askSegment(seg *ann.Segment, queries []float32, dim int, o ann.SearchOptions) (time.Duration, [][]uint32, error) {
	found := make([][]uint32, len(queries)/dim)
	got := make([]ann.Candidate, 0, o.K)
	began := time.Now()
	for i := range found {
		var err error
		if got, err = seg.Search(got[:0], queries[i*dim:(i+1)*dim], o); err != nil {
			return 0, nil, err
		}
		for _, c := range got {
			found[i] = append(found[i], c.Row)
		}
	}
	return time.Since(began), found, nil
}

func exactAnswers(seg *ann.Segment, queries []float32, dim int) ([][]uint32, error) {
	_, truth, err := askSegment(seg, queries, dim, ann.SearchOptions{K: vectorK, Exact: true})
	return truth, err
}

// filteredVectors measures filters that keep a part of the rows, chosen at
// random.
func (b *bench) filteredVectors(seg *ann.Segment, queries []float32, dim int) error {
	for _, keep := range []float64{0.001, 0.01, 0.1, 0.5} {
		filter, every := ann.NewBitmap(seg.Len()), uint64(keep*(1<<32))
		for row := range uint32(seg.Len()) {
			if uint64(row*2654435761) < every { // Multiplicative hashing: no order of the rows survives.
				filter.Set(row)
			}
		}
		o := ann.SearchOptions{K: vectorK, Filter: filter}
		exact := o
		exact.Exact = true
		_, truth, err := askSegment(seg, queries, dim, exact)
		if err != nil {
			return err
		}
		var rates []float64
		var found [][]uint32
		for range b.rounds {
			var took time.Duration
			if took, found, err = askSegment(seg, queries, dim, o); err != nil {
				return err
			}
			rates = append(rates, vectorQueries/took.Seconds())
		}
		name := fmt.Sprintf("filter that keeps %g %%", keep*100)
		b.report.add("vectorize", name+": queries", median(rates), "/s")
		b.report.want("vectorize", name+": recall@10", recallOf(found, truth), "", ">=", 0.95)
	}
	return nil
}

// vectorPeer starts a peer and waits until its index is built.
func (b *bench) vectorPeer(ctx context.Context, name string, dim int, files [2]string) (*vectorIndex, error) {
	const script = "bench/peers/vectors/run.cjs"
	if _, err := os.Stat("bench/peers/vectors/node_modules"); err != nil {
		return nil, fmt.Errorf("the peers are not installed; run scripts/bench-vectors")
	}
	cmd := exec.CommandContext(ctx, b.tools["node"], "--no-warnings", script, name, strconv.Itoa(dim), files[0], files[1], strconv.Itoa(runtime.NumCPU()))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	answers := json.NewDecoder(bufio.NewReader(out))
	var built struct {
		Build   float64 `json:"build"`
		Version string  `json:"version"`
	}
	if err := answers.Decode(&built); err != nil {
		stop()
		return nil, err
	}
	run := func(ef int) (time.Duration, [][]uint32, error) {
		if _, err := io.WriteString(in, strconv.Itoa(ef)+"\n"); err != nil {
			return 0, nil, err
		}
		var a struct {
			Seconds float64    `json:"seconds"`
			Found   [][]uint32 `json:"found"`
		}
		err := answers.Decode(&a)
		return time.Duration(a.Seconds * float64(time.Second)), a.Found, err
	}
	return newVectorIndex(name+" "+built.Version, time.Duration(built.Build*float64(time.Second)), run, stop), nil
}
