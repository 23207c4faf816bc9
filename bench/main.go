// Command bench measures selvage and its peers side by side in one run and
// prints ratios: machines are noisy and shared, so an absolute number says
// little and a number without its neighbour nothing.
//
// Every comparison alternates between the contenders for several rounds and
// reports the median. Load goes to loopback only and every run is bounded. The
// reports go to bench/reports/ as Markdown and JSON, one for each suite.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// suite is one group of measurements.
type suite struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

func suites() []suite {
	return []suite{
		{"hello", hello},
		{"rpc", rpcCalls},
		{"assets", staticAssets},
		{"pages", pagesServing},
		{"pages-deploy", pagesDeploying},
		{"pages-load", pagesUnderLoad},
		{"pages-kept", pagesKept},
		{"coldstart", coldStart},
		{"deploy", deployShare},
		{"deploycli", deployWithoutNode},
		{"idle", idleMemory},
		{"scale", scale},
		{"cores", moreCores},
		{"idleworkers", idleWorkers},
		{"kv", kvStore},
		{"containers", containerSuite},
		{"objects", objects},
		{"cache", cacheHits},
		{"d1", d1Databases},
		{"d1-history", d1History},
		{"d1-load", d1Load},
		{"neighbour", neighbour},
		{"vectorize", vectorize},
		{"vectorize-300k", vectorize300k},
		{"vectorize-1m", vectorize1m},
		{"vectorize-filters", vectorizeFilters},
		{"kernels", vectorKernels},
		{"vectorize-binding", vectorizeBinding},
		{"vectorize-live", vectorizeLive},
		{encoderSuite, encoders},
		{decodeSuite, decoders},
	}
}

// onRequest says whether a suite is run only when it is named: it takes an hour
// the first time.
func (s suite) onRequest() bool {
	return s.name == "vectorize-300k" || s.name == "vectorize-1m" || s.name == "vectorize-filters"
}

func suiteNames() string {
	var names []string
	for _, s := range suites() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func main() {
	only := flag.String("only", "", "comma-separated suites to run: "+suiteNames())
	rounds := flag.Int("rounds", 5, "rounds of every comparison")
	seconds := flag.Duration("seconds", 4*time.Second, "how long one contender is loaded in one round")
	vectors := flag.Int("vectors", 20000, "suite vectorize: how many vectors")
	dims := flag.Int("dims", 768, "suite vectorize: of how many dimensions")
	vectorSizes := flag.String("vectorsizes", "20000,50000", "suite vectorize-binding: how many vectors (100000,300000,1000000 for a full run)")
	vectorData := flag.String("vectordata", "", "suites vectorize*: folder where vectors and filled indexes are kept for later runs")
	deployments := flag.Int("deployments", 10000, "suite pages-kept: how many deployments are kept")
	vectorRebuild := flag.Bool("vectorrebuild", false, "suites vectorize, -300k, -1m and -filters: build our index though one is kept")
	vectorPeers := flag.String("vectorpeers", "usearch-i8,usearch-f32,hnswlib,lancedb", "suites vectorize, -300k, -1m and -filters: comma-separated peers")
	reports := flag.String("reports", "bench/reports", "folder for the report")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := newBench(*rounds, *seconds)
	if err == nil {
		b.vectors, b.dims = *vectors, *dims
		b.vectorSizes, b.vectorData = *vectorSizes, *vectorData
		b.vectorRebuild, b.vectorPeers = *vectorRebuild, strings.Split(*vectorPeers, ",")
		b.deployments = *deployments
		err = run(ctx, b, *only, *reports)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, only, reports string) error {
	defer b.close()
	for _, s := range suites() {
		if only == "" && s.onRequest() || only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		fmt.Printf("\n== %s\n", s.name)
		b.report.Rows, b.report.Time = nil, time.Now().UTC()
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := b.report.write(reports, s.name); err != nil {
			return err
		}
	}
	return nil
}
