package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// mergedRows is how many rows are merged beside searches.
const mergedRows = 20_000

// besideMerge measures one thread's searches alone and while the other core
// builds a segment of the first rows, as the service does in the background.
func (b *bench) besideMerge(ctx context.Context, r *vectorRace) error {
	d, seg, ours := r.vectorData, r.seg, r.all[0]
	ask := func() (float64, error) {
		a, err := ours.run(asked{ef: ours.at[target{0.95, 1, "-"}], threads: 1, filter: "-"})
		if err != nil {
			return 0, err
		}
		return float64(len(a.Found)) / a.Seconds, nil
	}
	gone := ann.NewBitmap(d.n)
	gone.SetRange(min(mergedRows, d.n), d.n)
	path := d.file("merged")
	var shares []float64
	for range min(b.rounds, 3) {
		alone, err := ask()
		if err != nil {
			return err
		}
		done, began := make(chan error, 1), time.Now()
		go func() {
			done <- ann.Merge(ctx, fsx.FS{}, path, ann.Config{Dim: d.dim, Metric: ann.Cosine, Workers: 1}, ann.Input{From: seg, Deleted: gone})
		}()
		var rates []float64
		for merging := true; merging; {
			rate, err := ask()
			if err != nil {
				return errors.Join(err, <-done)
			}
			rates = append(rates, rate)
			select {
			case err := <-done:
				if err != nil {
					return err
				}
				merging = false
			default:
			}
		}
		shares = append(shares, median(rates)/alone)
		fmt.Printf("  merging %d rows took %s\n", mergedRows, time.Since(began).Round(time.Millisecond))
	}
	b.report.want(d.suite(), "searches beside a merge / alone", median(shares), "×", ">=", 0.7)
	return os.Remove(path)
}
