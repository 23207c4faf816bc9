package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// vectorizeLive writes to an index that is asked: how fast a mutation is acknowledged
// and seen, how many there can be, and what the questions lose by it.
func vectorizeLive(ctx context.Context, b *bench) error {
	const dim, wanted = 384, 5000
	h, err := b.vectorHost(ctx, b.vectors, dim)
	if err != nil {
		return err
	}
	defer h.stop()
	// What is written stays: the index is no longer the one that was prepared.
	if err := os.Remove(filepath.Join(h.data, "ready")); err != nil && !os.IsNotExist(err) {
		return err
	}
	suite, name := "vectorize-live", fmt.Sprintf("%d × %d", b.vectors, dim)
	if _, err := h.during(ctx, b.seconds); err != nil {
		return err
	}
	alone, err := h.during(ctx, b.seconds*time.Duration(b.rounds))
	if err != nil {
		return err
	}
	rate := float64(len(alone)) / (b.seconds * time.Duration(b.rounds)).Seconds()
	w := &vectorWriter{h: h, row: 10_000_000}
	beside, perSecond, err := w.beside(ctx, b.seconds*time.Duration(b.rounds), wanted)
	if err != nil {
		return err
	}
	besideRate := float64(len(beside)) / (b.seconds * time.Duration(b.rounds)).Seconds()
	b.report.add(suite, name+": questions alone, one connection", rate, "/s")
	b.report.add(suite, name+": questions alone, p95", quantile(alone, 0.95), "ms")
	b.report.want(suite, name+": vectors written beside questions", perSecond, "/s", ">=", wanted*0.98)
	b.report.add(suite, name+": questions beside them, p95", quantile(beside, 0.95), "ms")
	b.report.want(suite, name+": questions beside / alone", besideRate/rate, "×", ">=", 0.7)
	b.report.add(suite, name+": acknowledged, p50", quantile(w.acks, 0.5), "ms")
	b.report.want(suite, name+": acknowledged, p95", quantile(w.acks, 0.95), "ms", "<=", 100)
	b.report.want(suite, name+": visible to queries, p99", quantile(w.seen, 0.99), "ms", "<=", 1000)
	if err := h.settled(ctx); err != nil {
		return err
	}
	w.acks = nil
	_, perSecond, err = w.beside(ctx, b.seconds*time.Duration(b.rounds), 0)
	if err != nil {
		return err
	}
	b.report.want(suite, name+": vectors written as fast as they are taken", perSecond, "/s", ">=", wanted)
	b.report.add(suite, name+": acknowledged at that rate, p95", quantile(w.acks, 0.95), "ms")
	return nil
}

// vectorWriter sends batches of new vectors.
type vectorWriter struct {
	h   *vectorHost
	row int

	mu   sync.Mutex
	acks []float64 // milliseconds
	seen []float64 // from the sending to an answer that has the vector
}

// beside writes for a while, at a pace (0: as fast as it can, and nothing is asked),
// and returns how long questions took meanwhile.
func (w *vectorWriter) beside(ctx context.Context, d time.Duration, pace int) (asked []float64, perSecond float64, err error) {
	const batch, senders = 250, 2
	// What is sent is made before: it is not what is measured.
	batches := make([][]byte, 0, 4096)
	most := int(d.Seconds() * 12_000 / batch)
	if pace > 0 {
		most = int(d.Seconds()*float64(pace)/batch) + senders
	}
	for range most {
		batches = append(batches, w.h.lines(w.row, batch))
		w.row += batch
	}
	began := time.Now()
	ctx, stop := context.WithDeadline(ctx, began.Add(d))
	defer stop()
	first := w.row - most*batch
	var next, written atomic.Int64
	errs := make(chan error, senders+1)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batches) {
					return
				}
				if pace > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(i*batch) * time.Second / time.Duration(pace))))
				}
				if ctx.Err() != nil {
					return
				}
				if err := w.send(context.WithoutCancel(ctx), batches[i], first+i*batch, pace > 0 && i%8 == 0); err != nil {
					errs <- err
					return
				}
				written.Add(batch)
			}
		})
	}
	if pace > 0 {
		asked, err = w.h.during(context.WithoutCancel(ctx), time.Until(began.Add(d)))
		errs <- err
	}
	wg.Wait()
	took := time.Since(began)
	close(errs)
	for e := range errs {
		if e != nil {
			return nil, 0, e
		}
	}
	return asked, float64(written.Load()) / took.Seconds(), nil
}

// send sends a batch and, if it is asked to look, asks for its first vector until an
// answer has it.
func (w *vectorWriter) send(ctx context.Context, lines []byte, row int, look bool) error { //nolint:revive // what is measured
	began := time.Now()
	if _, err := w.h.client.PutVectors(ctx, "docs", true, lines); err != nil {
		return err
	}
	acked := time.Since(began)
	var seen time.Duration
	id := fmt.Sprint("v", row)
	for look && seen == 0 {
		found, err := w.h.client.QueryVectors(ctx, "docs", client.VectorQuery{VectorID: id, TopK: 1})
		if err == nil && len(found) == 1 && found[0].ID == id {
			seen = time.Since(began)
		}
		if time.Since(began) > 10*time.Second {
			return fmt.Errorf("%s is not found 10 s after it was sent: %w", id, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks = append(w.acks, float64(acked.Microseconds())/1000)
	if look {
		w.seen = append(w.seen, float64(seen.Microseconds())/1000)
	}
	return nil
}
