package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/client"
)

// vectorizeBinding asks indexes of growing size through a worker's binding, end to end:
// edge, worker, binding, index and back.
func vectorizeBinding(ctx context.Context, b *bench) error {
	var first, last float64
	sizes := strings.Split(b.vectorSizes, ",")
	for _, text := range sizes {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-vectorsizes: %w", err)
		}
		p95, err := b.askSize(ctx, n)
		if err != nil {
			return fmt.Errorf("%d vectors: %w", n, err)
		}
		if first == 0 {
			first = p95
		}
		last = p95
	}
	b.report.add("vectorize-binding", fmt.Sprintf("p95 of %s vectors / p95 of %s", sizes[len(sizes)-1], sizes[0]), last/first, "×")
	return nil
}

// askSize returns the 95th percentile of questions to an index of n vectors, in
// milliseconds.
func (b *bench) askSize(ctx context.Context, n int) (float64, error) {
	const dim = 384
	h, err := b.vectorHost(ctx, n, dim)
	if err != nil {
		return 0, err
	}
	defer h.stop()
	for i := range vectorAsked { // pages come in from the disk
		if _, err := h.ask(ctx, i); err != nil {
			return 0, err
		}
	}
	var all []float64
	for range b.rounds {
		took, err := h.during(ctx, b.seconds)
		if err != nil {
			return 0, err
		}
		all = append(all, took...)
	}
	name := fmt.Sprintf("%d × %d through a binding: ", n, dim)
	b.report.add("vectorize-binding", name+"p50", quantile(all, 0.5), "ms")
	p95 := quantile(all, 0.95)
	b.report.want("vectorize-binding", name+"p95", p95, "ms", "<=", 15)
	b.report.add("vectorize-binding", name+"p99", quantile(all, 0.99), "ms")
	right, err := h.recall(ctx)
	if err != nil {
		return 0, err
	}
	b.report.want("vectorize-binding", name+"recall@10", right, "", ">=", 0.95)
	if err := b.askSpace(ctx, h, name); err != nil {
		return 0, err
	}
	mb, err := resident(h.PID)
	if err != nil {
		return 0, err
	}
	b.report.add("vectorize-binding", name+"resident, with what is mapped of files", mb, "MB")
	return p95, nil
}

// askSpace asks in a namespace of 1,000.
func (b *bench) askSpace(ctx context.Context, h *vectorHost, name string) error {
	in := make([][]byte, len(h.bodies))
	for i, body := range h.bodies {
		in[i] = append(bytes.TrimSuffix(body, []byte("}")), `,"namespace":"`+vectorSpace+`"}`...)
	}
	var took []float64
	for i := range 4 * vectorAsked {
		t, err := h.askBody(ctx, in[i%len(in)])
		if err != nil {
			return err
		}
		if i >= vectorAsked {
			took = append(took, float64(t.Microseconds())/1000)
		}
	}
	b.report.add("vectorize-binding", name+fmt.Sprintf("in a namespace of %d, p50", vectorInThat), median(took), "ms")
	b.report.add("vectorize-binding", name+fmt.Sprintf("in a namespace of %d, p95", vectorInThat), quantile(took, 0.95), "ms")
	return nil
}

// recall compares some answers with exact ones.
func (h *vectorHost) recall(ctx context.Context) (float64, error) {
	const some = 40
	hits := 0
	for i := range some {
		var q struct {
			Vector []float32 `json:"vector"`
		}
		if err := json.Unmarshal(h.bodies[i], &q); err != nil {
			return 0, err
		}
		found, err := h.client.QueryVectors(ctx, "docs", client.VectorQuery{Vector: q.Vector, TopK: vectorK})
		if err != nil {
			return 0, err
		}
		truth, err := h.client.QueryVectors(ctx, "docs", client.VectorQuery{Vector: q.Vector, TopK: vectorK, Exact: true})
		if err != nil {
			return 0, err
		}
		ids := make(map[string]bool)
		for j := range truth {
			ids[truth[j].ID] = true
		}
		for j := range found {
			if ids[found[j].ID] {
				hits++
			}
		}
	}
	return float64(hits) / (some * vectorK), nil
}
