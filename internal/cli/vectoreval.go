package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

// evaluation is what a measurement of an index found.
type evaluation struct {
	Queries    int           `json:"queries"`
	Recall     float64       `json:"recall"` // share of the exact answers that were found
	Worst      float64       `json:"worstRecall"`
	P50        time.Duration `json:"p50"` // nanoseconds, as a client sees it
	P95        time.Duration `json:"p95"`
	P99        time.Duration `json:"p99"`
	ExactP50   time.Duration `json:"exactP50"`
	Vectors    int           `json:"vectors"`
	Advice     []string      `json:"advice"`
	histogram  []int
	namespaces client.VectorNamespaces
}

func (a *app) vectorEval() *cobra.Command {
	var f queryFlags
	var queries string
	var sample int
	cmd := &cobra.Command{
		Use:   "eval INDEX",
		Short: "Measure recall and latency on the index's own data, and give advice",
		Long: `Asks the index for the nearest vectors of a sample, as an app does and again by comparing with
every vector, and says how many of the right ones were found, how long it took, and what could be
better. The sample is of the index's own vectors, or a file of queries.`,
		Example: `  selvage vectorize eval papers
  selvage vectorize eval papers --queries questions.ndjson --top-k 20 --filter '{"year":2024}'`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query()
			if err == nil && (sample < 1 || sample > 100_000) {
				err = errors.New("--sample must be from 1 to 100000")
			}
			if err != nil {
				return usage(cmd, err)
			}
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				vectors, err := evalQueries(ctx, c, args[0], queries, sample)
				if err != nil {
					return err
				}
				e, err := evaluate(ctx, c, args[0], q, vectors)
				if err != nil {
					return err
				}
				e.advise(&q)
				if a.json {
					return a.printJSON(e)
				}
				a.printEvaluation(e)
				return nil
			})
		},
	}
	f.add(cmd, 10)
	cmd.Flags().StringVar(&queries, "queries", "", "file of queries: .ndjson, .npy or .fvecs")
	cmd.Flags().IntVar(&sample, "sample", 100, "how many queries")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// evalQueries returns the vectors to ask for: of a file, or some of the index's own,
// spread over its ids.
func evalQueries(ctx context.Context, c *client.Client, index, path string, sample int) ([]client.Vector, error) {
	if path != "" {
		f, err := os.Open(path) //nolint:gosec // the user's file
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		r, err := newVectorReader(path, f, "")
		if err != nil {
			return nil, err
		}
		return readQueries(r, sample)
	}
	info, err := c.VectorIndexInfo(ctx, index)
	if err != nil {
		return nil, err
	}
	step := max(info.VectorCount/sample, 1)
	var ids []string
	seen := 0
	for cursor := ""; len(ids) < sample; {
		page, next, err := c.VectorIDs(ctx, index, cursor, 1000)
		if err != nil {
			return nil, err
		}
		for _, id := range page {
			if seen%step == 0 && len(ids) < sample {
				ids = append(ids, id)
			}
			seen++
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	var out []client.Vector
	for some := range slices.Chunk(ids, 20) {
		vectors, err := c.Vectors(ctx, index, some...)
		if err != nil {
			return nil, err
		}
		out = append(out, vectors...)
	}
	return out, nil
}

func evaluate(ctx context.Context, c *client.Client, index string, q client.VectorQuery, vectors []client.Vector) (*evaluation, error) { //nolint:gocritic // it is changed here
	if len(vectors) == 0 {
		return nil, errors.New("there is nothing to ask for: the index is empty, or the file of queries")
	}
	e := &evaluation{Queries: len(vectors), Worst: 1, histogram: make([]int, len(evalBuckets())+1)}
	var took, exact []time.Duration
	right, all := 0, 0
	for i := range vectors {
		q.Vector, q.Exact = vectors[i].Values, false
		began := time.Now()
		found, err := c.QueryVectors(ctx, index, q)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		q.Exact = true
		began = time.Now()
		truth, err := c.QueryVectors(ctx, index, q)
		if err != nil {
			return nil, err
		}
		exact = append(exact, time.Since(began))
		n := overlap(found, truth)
		right += n
		all += len(truth)
		if len(truth) > 0 {
			e.Worst = min(e.Worst, float64(n)/float64(len(truth)))
		}
	}
	e.Recall = 1
	if all > 0 {
		e.Recall = float64(right) / float64(all)
	}
	for _, d := range took {
		at, _ := slices.BinarySearch(evalBuckets(), d)
		e.histogram[at]++
	}
	slices.Sort(took)
	slices.Sort(exact)
	e.P50, e.P95, e.P99, e.ExactP50 = percentile(took, 50), percentile(took, 95), percentile(took, 99), percentile(exact, 50)
	info, err := c.VectorIndexInfo(ctx, index)
	if err != nil {
		return nil, err
	}
	e.Vectors = info.VectorCount
	e.namespaces, err = c.VectorNamespaces(ctx, index)
	return e, err
}

// overlap counts the exact answers that were found. One that is as near as the
// farthest of them is as good.
func overlap(found, truth []client.VectorMatch) int {
	ids := make(map[string]bool, len(truth))
	scores := make(map[float64]bool, len(truth))
	for i := range truth {
		ids[truth[i].ID], scores[truth[i].Score] = true, true
	}
	n := 0
	for i := range found {
		if ids[found[i].ID] || scores[found[i].Score] {
			n++
		}
	}
	return min(n, len(truth))
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// advise says what could be better, by what was measured.
func (e *evaluation) advise(q *client.VectorQuery) {
	const (
		large = 50_000 // vectors from which on it matters how they are spread
		slow  = 100 * time.Millisecond
		wrong = 0.95
	)
	if e.Recall < wrong {
		e.Advice = append(e.Advice, fmt.Sprintf("Only %.1f %% of the right answers are found. Ask for more (--top-k) and keep the best, or use --exact where it is fast enough.", 100*e.Recall))
	}
	if e.Vectors >= large && e.namespaces.Total == 1 && q.Namespace == nil {
		e.Advice = append(e.Advice, "All vectors are in one namespace. If a query only ever concerns one part of them (a customer, a kind of document), give each part a namespace: a query in one costs what that one holds.")
	}
	if e.namespaces.Total > 1 && q.Namespace == nil {
		e.Advice = append(e.Advice, fmt.Sprintf("The vectors are in %d namespaces and these queries went through all of them. Name one in the query (--namespace) where the app can.", e.namespaces.Total))
	}
	if len(q.Filter) == 0 && e.P95 > slow {
		e.Advice = append(e.Advice, "Queries are slow. A metadata index and a filter leave fewer vectors to compare with; make the metadata index before the vectors are written.")
	}
	if len(e.Advice) == 0 {
		e.Advice = append(e.Advice, "Nothing stands out.")
	}
}

// evalBuckets are the upper ends of the histogram's bars.
func evalBuckets() []time.Duration {
	return []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
		50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
	}
}

func (a *app) printEvaluation(e *evaluation) {
	a.printf("%d queries on %d vectors\n", e.Queries, e.Vectors)
	a.printf("recall   %.4f, the worst query %.4f\n", e.Recall, e.Worst)
	a.printf("latency  p50 %s, p95 %s, p99 %s; exact p50 %s\n", roundly(e.P50), roundly(e.P95), roundly(e.P99), roundly(e.ExactP50))
	for i, n := range e.histogram {
		if n == 0 {
			continue
		}
		label := "above"
		if i < len(evalBuckets()) {
			label = "≤ " + evalBuckets()[i].String()
		}
		const width = 40
		a.printf("  %-8s %5d  %s\n", label, n, strings.Repeat("█", max(n*width/e.Queries, 1)))
	}
	for _, text := range e.Advice {
		a.printf("- %s\n", text)
	}
}

func roundly(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
