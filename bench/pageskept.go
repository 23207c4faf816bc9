package main

import (
	"context"
	"fmt"
	"runtime"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"
)

// keptFiles is how many files each deployment has; one of them is its own.
const keptFiles = 100

// pagesKept compares a platform that keeps 10 deployments with the same one keeping 10,000.
func pagesKept(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	if _, err := p.client.CreatePagesProject(ctx, "kept", "main", nil); err != nil {
		return err
	}
	made := 0
	var startups, memory, work []float64
	counts := []int{10, b.deployments}
	for _, n := range counts {
		began := time.Now()
		if err := p.deployMany(ctx, made, n); err != nil {
			return err
		}
		fmt.Printf("  (%d deployments made in %s)\n", n-made, time.Since(began).Round(time.Second))
		made = n
		var startup, mb, cpuMS []float64
		for range 3 {
			p.stop()
			if p, err = b.platform(p.data); err != nil {
				return err
			}
			if _, err := page(ctx, p.EdgeURL+"/", "kept."+p.PagesDomain, fmt.Sprintf("deployment %d", n-1)); err != nil {
				return err
			}
			time.Sleep(3 * time.Second) // the sweep at the start ends
			used, err := cpu(p.PID)
			if err != nil {
				return err
			}
			rss, err := resident(p.PID)
			if err != nil {
				return err
			}
			startup, mb, cpuMS = append(startup, ms(p.startup)), append(mb, rss), append(cpuMS, ms(used))
		}
		startups, memory, work = append(startups, median(startup)), append(memory, median(mb)), append(work, median(cpuMS))
	}
	const suite = "pages-kept"
	for i, n := range counts {
		b.report.add(suite, fmt.Sprintf("%d deployments of %d files: start-up, exec to ready", n, keptFiles), startups[i], "ms")
		b.report.add(suite, fmt.Sprintf("%d deployments: resident memory after the first page and the sweep", n), memory[i], "MB")
		b.report.add(suite, fmt.Sprintf("%d deployments: processor time until then", n), work[i], "ms")
	}
	b.report.want(suite, fmt.Sprintf("start-up with %d / with 10", b.deployments), startups[1]/startups[0], "×", "<=", 1.2)
	b.report.want(suite, fmt.Sprintf("memory with %d / with 10", b.deployments), memory[1]/memory[0], "×", "<=", 1.2)
	return nil
}

// deployMany makes deployments from number to number; the last one is in production.
func (p *platform) deployMany(ctx context.Context, from, to int) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.NumCPU())
	for i := from; i < to-1; i++ {
		group.Go(func() error {
			_, err := p.deployPages(inner, "kept", fmt.Sprintf("branch-%d", i%50), keptSite(i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err := p.deployPages(ctx, "kept", "main", keptSite(to-1))
	return err
}

func keptSite(n int) fstest.MapFS {
	site := fstest.MapFS{"index.html": {Data: fmt.Appendf(nil, "deployment %d", n)}}
	for i := range keptFiles - 1 {
		site[fmt.Sprintf("files/%d.txt", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "file %d", i)}
	}
	return site
}
