package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// loopScript never comes back.
const loopScript = `export default { fetch() { for (;;); } }`

// What a neighbour that loops may do to others: their p99 under an open loop at
// this share of their capacity moves by less than this factor.
const (
	neighbourShare = 0.2
	neighbourBound = 1.2
	// The p99 of some seconds moves by itself by more than that, so there are so many
	// times the usual rounds, of which the median counts.
	neighbourRounds = 2
)

// neighbour measures a worker's latencies alone and beside another worker in an
// endless loop, in turn, so that what else the machine does hurts both. The load
// generator does not wait for a processor: its own waits, on the two cores that it
// shares with the platform, were most of the p99 (see urgent).
func neighbour(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deploy(ctx, "victim", helloScript); err != nil {
		return err
	}
	// The loop lasts for one measurement, then the limit ends it.
	limit := b.seconds + 2*time.Second
	if err := p.deployLoop(ctx, limit); err != nil {
		return err
	}
	victim := &contender{name: "victim", url: p.EdgeURL + "/", host: p.host("victim")}
	if err := answering(ctx, victim.url, victim.host); err != nil {
		return err
	}
	full, err := b.wrk(ctx, victim.url, victim.host)
	if err != nil {
		return err
	}
	rate := full.perSecond * neighbourShare
	var alone, beside, moved []float64
	for range b.rounds * neighbourRounds {
		a, err := openLoop(ctx, victim, rate, b.seconds)
		if err != nil {
			return err
		}
		over := p.loop(ctx, limit)
		time.Sleep(time.Second) // it burns by now
		with, err := openLoop(ctx, victim, rate, b.seconds)
		if err != nil {
			return err
		}
		if err := <-over; err != nil {
			return err
		}
		alone, beside, moved = append(alone, a), append(beside, with), append(moved, with/a)
	}
	b.report.add("neighbour", "open loop", rate, "/s")
	b.report.add("neighbour", "p99 alone", median(alone), "ms")
	b.report.add("neighbour", "p99 beside an endless loop", median(beside), "ms")
	b.report.want("neighbour", "p99 beside an endless loop / alone", median(moved), "×", "<=", neighbourBound)
	return nil
}

func (p *platform) deployLoop(ctx context.Context, limit time.Duration) error {
	_, err := p.client.Deploy(ctx, "loop", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(loopScript)}},
		CompatibilityDate: "2026-09-01",
		Limits:            map[string]int64{"cpu_ms": limit.Milliseconds()},
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, "loop", true, nil)
	}
	return err
}

// loop starts the loop; the channel tells that its limit has ended it.
func (p *platform) loop(ctx context.Context, limit time.Duration) <-chan error {
	over := make(chan error, 1)
	go func() {
		begin := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.EdgeURL+"/", http.NoBody)
		if err != nil {
			over <- err
			return
		}
		req.Host = p.host("loop")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			over <- err
			return
		}
		_ = res.Body.Close()
		if took := time.Since(begin); res.StatusCode != http.StatusServiceUnavailable || took < limit {
			err = fmt.Errorf("the loop ended with %d after %s", res.StatusCode, took)
		}
		over <- err
	}()
	return over
}

// openLoop sends requests at a rate whatever becomes of them, and returns the 99th
// percentile in ms of the time from when each was due.
func openLoop(ctx context.Context, c *contender, rate float64, d time.Duration) (float64, error) {
	const workers = 64
	due := make(chan time.Time, int(rate))
	transport := &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	var mu sync.Mutex
	var took []float64
	var failed error
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var mine []float64
			for at := range due {
				if err := once(ctx, transport, c); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
				mine = append(mine, float64(time.Since(at))/float64(time.Millisecond))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	undo, err := urgent()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	for n := 0; time.Since(begin) < d && ctx.Err() == nil; n++ {
		at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	wg.Wait()
	return quantile(took, 0.99), errors.Join(failed, undo())
}

func once(ctx context.Context, rt http.RoundTripper, c *contender) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, http.NoBody)
	if err != nil {
		return err
	}
	req.Host = c.host
	res, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
