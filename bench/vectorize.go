package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/selvage-dev/selvage/internal/ann"
)

// The queries that are asked of filters, and of what compares every vector:
// these take their time.
const (
	filterQueries = 100
	slowQueries   = 20
	slowRows      = 50_000 // so many it may be
)

// vectorize races the engine below the Vectorize service with other libraries,
// each in its process without a network: same vectors, same queries, one thread
// and two.
func vectorize(ctx context.Context, b *bench) error {
	return b.vectorSuite(ctx, b.vectors, b.dims, (*bench).raceVectors, (*bench).besideMerge, (*bench).raceFilters)
}

func vectorize300k(ctx context.Context, b *bench) error {
	return b.vectorSuite(ctx, 300_000, 768, (*bench).raceVectors, (*bench).besideMerge)
}

func vectorize1m(ctx context.Context, b *bench) error {
	return b.vectorSuite(ctx, 1_000_000, 384, (*bench).raceVectors, (*bench).besideMerge)
}

func vectorizeFilters(ctx context.Context, b *bench) error {
	return b.vectorSuite(ctx, 300_000, 768, (*bench).raceFilters)
}

// vectorRace is one set of vectors with all contenders.
type vectorRace struct {
	*vectorData
	seg     *ann.Segment
	all     []*vectorIndex // ours first
	filters map[string]*ann.Bitmap
}

// suite names the rows of the report.
func (d *vectorData) suite() string { return fmt.Sprintf("vectorize %d × %d", d.n, d.dim) }

func (b *bench) vectorSuite(ctx context.Context, n, dim int, parts ...func(b *bench, ctx context.Context, r *vectorRace) error) error {
	d, err := b.vectorSet(n, dim)
	if err != nil {
		return err
	}
	r := &vectorRace{vectorData: d}
	if r.filters, err = d.filters(); err != nil {
		return err
	}
	seg, ours, err := b.ownVectorIndex(ctx, d, r.filters)
	if err != nil {
		return err
	}
	defer ours.stop()
	r.seg, r.all = seg, []*vectorIndex{ours}
	names := slices.Clone(b.vectorPeers)
	if n <= slowRows {
		names = append(names, "sqlitevec")
	}
	for _, name := range names {
		peer, err := b.vectorPeer(ctx, name, d)
		if err != nil {
			return err
		}
		defer peer.stop()
		r.all = append(r.all, peer)
	}
	if err := b.indexSizes(d, r.all); err != nil {
		return err
	}
	for _, part := range parts {
		if err := part(b, ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// indexSizes reports what indexes hold and what they took to build.
func (b *bench) indexSizes(d *vectorData, all []*vectorIndex) error {
	raw, suite := float64(d.n)*float64(d.dim)*4, d.suite()
	bound := 0.35
	if d.dim < 768 {
		bound = 0.42
	}
	b.report.want(suite, "memory / float32, page cache apart", all[0].built.Memory/raw, "×", "<=", bound)
	info, err := os.Stat(d.file("selvage"))
	if err != nil {
		return err
	}
	b.report.want(suite, "file / float32", float64(info.Size())/raw, "×", "<=", 1.5)
	for _, c := range all {
		if c != all[0] {
			if c.built.Memory > 0 { // else it is not known
				b.report.add(suite, c.name+": memory / float32", c.built.Memory/raw, "×")
			}
		}
		b.report.add(suite, fmt.Sprintf("%s: build, %d threads", c.name, runtime.NumCPU()), c.built.Build, "s")
		b.report.add(suite, c.name+": build, processor time", c.built.Processor, "s")
	}
	for _, c := range all {
		if c.name == "usearch-i8" {
			b.report.want(suite, "build, processor time: selvage / USearch i8", all[0].built.Processor/c.built.Processor, "×", "<=", 0.7)
		}
	}
	return nil
}

// raceVectors runs all that reach a recall in turn, round after round.
func (b *bench) raceVectors(_ context.Context, r *vectorRace) error {
	all := r.all
	truth, err := r.truth(r.seg, "all", nil, vectorQueries)
	if err != nil {
		return err
	}
	recalls, threads := []float64{0.95, 0.98}, []int{1, 2}
	for _, c := range all {
		if err := c.sweep(truth, "-", recalls, []int{10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256, 400}, threads); err != nil {
			return err
		}
	}
	for _, n := range threads {
		for _, recall := range recalls {
			t := target{recall, n, "-"}
			if err := b.measureAll(all, t, b.rounds); err != nil {
				return err
			}
			b.compare(r.suite(), fmt.Sprintf("recall@10 ≥ %.2f, %d threads", recall, n), all, t, 3)
			b.report.want(r.suite(), fmt.Sprintf("recall@10 ≥ %.2f, %d threads: p95 of a query", recall, n), median(all[0].p95[t]), "ms", "<=", 5)
		}
	}
	return nil
}

// measureAll measures all at one target.
func (b *bench) measureAll(all []*vectorIndex, t target, rounds int) error {
	for range rounds {
		for _, c := range all {
			if err := c.measure(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare reports the rates at a target, and ours as a share of the best of the
// others.
func (b *bench) compare(suite, what string, all []*vectorIndex, t target, bound float64) {
	best := 0.0
	for i, c := range all {
		if c.rates[t] == nil {
			b.report.add(suite, what+": "+c.name+" never reaches it", 0, "/s")
			continue
		}
		rate := median(c.rates[t])
		b.report.add(suite, fmt.Sprintf("%s: %s (ef %d)", what, c.name, c.at[t]), rate, "/s")
		if i > 0 {
			best = max(best, rate)
		}
	}
	if best == 0 {
		return
	}
	b.report.want(suite, what+": selvage / best peer", median(all[0].rates[t])/best, "×", ">=", bound)
}

// vectorFilters are the filters that are compared: name, share of the rows
// kept, and the least ratio that is wanted.
var vectorFilters = []struct { //nolint:gochecknoglobals // a table
	name  string
	keep  float64
	wants float64
}{{"0.1%", 0.001, 10}, {"1%", 0.01, 10}, {"10%", 0.1, 5}, {"50%", 0.5, 1}, {"1% of one region", 0.01, 10}, {"10% of one region", 0.1, 5}}

// raceFilters compares searches among some of the rows.
func (b *bench) raceFilters(_ context.Context, r *vectorRace) error {
	all := r.all
	for _, f := range vectorFilters {
		truth, err := r.truth(r.seg, f.name, r.filters[f.name], filterQueries)
		if err != nil {
			return err
		}
		t := target{0.95, 1, f.name}
		for i, c := range all {
			if c.unfiltered {
				continue
			}
			efs := []int{10, 16, 32, 64, 128, 512, 2048, 8192}
			if i == 0 {
				efs = []int{10, 12, 16, 24, 32, 64, 128}
			}
			if err := c.sweep(truth, f.name, []float64{t.recall}, efs, []int{1}); err != nil {
				return err
			}
		}
		a, err := all[0].run(asked{filter: f.name, threads: 1})
		if err != nil {
			return err
		}
		b.report.want(r.suite(), "filter keeps "+f.name+": recall@10 of a search that chooses by itself", recallOf(a.Found, truth), "", ">=", 0.95)
		if err := b.measureAll(all, t, min(b.rounds, 3)); err != nil {
			return err
		}
		b.compare(r.suite(), "filter keeps "+f.name, all, t, f.wants)
	}
	return nil
}

// filters returns the filters by name, and writes them for the peers. Rows are
// chosen at random, or are those nearest to one of them: then most queries are
// far from all that is kept.
func (d *vectorData) filters() (map[string]*ann.Bitmap, error) {
	filters := map[string]*ann.Bitmap{}
	near := make([]float32, d.n)
	for row := range near {
		for i, x := range d.base[:d.dim] {
			near[row] += x * d.base[row*d.dim+i]
		}
	}
	sorted := slices.Sorted(slices.Values(near))
	for _, f := range vectorFilters {
		set, every := ann.NewBitmap(d.n), uint64(f.keep*(1<<32))
		least := sorted[len(sorted)-int(f.keep*float64(d.n))]
		region := f.name[len(f.name)-1] != '%'
		for row := range uint32(d.n) {
			// Multiplicative hashing: no order of the rows survives.
			if region && near[row] >= least || !region && uint64(row*2654435761) < every {
				set.Set(row)
			}
		}
		filters[f.name] = set
		bits := make([]byte, d.n/8+1)
		for row := range set.Rows() {
			bits[row>>3] |= 1 << (row & 7)
		}
		if err := os.WriteFile(d.file(f.name), bits, 0o600); err != nil {
			return nil, err
		}
	}
	return filters, nil
}
