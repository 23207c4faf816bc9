package main

import (
	"context"
	"fmt"
	"time"
)

// busyScript keeps the processor for some milliseconds a request, so that the
// edge and the client cost next to nothing beside it.
const busyScript = `export default { fetch() {
	let x = 1
	for (let i = 0; i < 300_000; i++) x = (x * 48271) % 2147483647
	return new Response(String(x))
} }`

// moreCores holds one process of a worker that does nothing but compute against
// as many as the platform gives it.
func moreCores(ctx context.Context, b *bench) error {
	var cs []*contender
	for _, n := range []string{"1", "2"} {
		p, err := b.platform("", "SELVAGE_WORKER_PROCESSES="+n)
		if err != nil {
			return err
		}
		defer p.stop()
		if err := p.deploy(ctx, "busy", busyScript); err != nil {
			return err
		}
		c := &contender{name: n + " process(es)", url: p.EdgeURL + "/", host: p.host("busy")}
		if _, err := b.wrk(ctx, c.url, c.host); err != nil { // the second process comes under load
			return err
		}
		cs = append(cs, c)
	}
	if err := b.race(ctx, cs); err != nil {
		return err
	}
	for _, c := range cs {
		b.report.add("cores", "computing, "+c.name+": requests", median(c.rates), "/s")
	}
	b.report.want("cores", "computing, two processes / one", ratio(cs[1], cs[0]), "×", ">=", 1.8)
	return nil
}

// idleWorkers is what 500 workers cost that nobody asks: deployed, and run once
// and stopped since.
func idleWorkers(ctx context.Context, b *bench) error {
	const n = 500
	p, err := b.platform("", "SELVAGE_IDLE_STOP=1s")
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	empty, emptyCPU, err := p.rest(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		if err := p.deploy(ctx, fmt.Sprintf("w%03d", i), helloScript); err != nil {
			return err
		}
	}
	p.stop()
	if p, err = b.platform(p.data, "SELVAGE_IDLE_STOP=1s"); err != nil {
		return err
	}
	deployed, deployedCPU, err := p.rest(ctx)
	if err != nil {
		return err
	}
	b.report.add("idle workers", "resident memory without a worker", empty, "MB")
	b.report.want("idle workers", "500 workers deployed, after a restart: more resident memory", deployed-empty, "MB", "<=", 5)
	for i := range n {
		if _, err := get(ctx, p.EdgeURL+"/", p.host(fmt.Sprintf("w%03d", i))); err != nil {
			return err
		}
	}
	ran, ranCPU, err := p.rest(ctx)
	if err != nil {
		return err
	}
	b.report.want("idle workers", "500 workers, each run once and stopped: more resident memory", ran-empty, "MB", "<=", 5)
	b.report.add("idle workers", "processor time without a worker", emptyCPU, "ms/s")
	b.report.want("idle workers", "500 workers deployed: more processor time", deployedCPU-emptyCPU, "ms/s", "<=", 1)
	b.report.want("idle workers", "500 workers stopped: more processor time", ranCPU-emptyCPU, "ms/s", "<=", 1)
	return nil
}

// rest waits until no worker runs and returns the platform's resident memory in
// MB and its processor time in milliseconds a second.
func (p *platform) rest(ctx context.Context) (mb, cpuRate float64, err error) {
	if err := p.allStopped(ctx); err != nil {
		return 0, 0, err
	}
	// Janitors look every few seconds: a short watch would see none of them, or two.
	const settle, watch = 10 * time.Second, 20 * time.Second
	time.Sleep(settle)
	before, err := cpu(p.PID)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(watch)
	after, err := cpu(p.PID)
	if err != nil {
		return 0, 0, err
	}
	mb, err = resident(p.PID)
	return mb, (after - before).Seconds() * 1000 / watch.Seconds(), err
}
