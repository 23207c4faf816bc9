package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// asked is how a contender is asked: how far it looks, on how many threads,
// and by which filter, "-" for none.
type asked struct {
	ef, threads int
	filter      string
}

// answers are what it found, and how long all queries and the slowest but for
// 5 % took.
type answers struct {
	Seconds float64    `json:"seconds"`
	P95     float64    `json:"p95"`
	Found   [][]uint32 `json:"found"`
}

// built is what making an index took: seconds, seconds of processors, and
// bytes of memory that are no file's.
type built struct {
	Build     float64 `json:"build"`
	Processor float64 `json:"processor"`
	Memory    float64 `json:"memory"`
}

// vectorIndex is one contender.
type vectorIndex struct {
	name  string
	built built
	run   func(a asked) (*answers, error)
	stop  func()
	slow  bool // it compares every vector
	// It is not raced with filters.
	unfiltered bool
	// How far it looks at least to reach a recall, and the rates there.
	at    map[target]int
	rates map[target][]float64
	p95   map[target][]float64
}

// target is one thing that contenders are compared at.
type target struct {
	recall  float64
	threads int
	filter  string
}

// queries is how many of the queries are asked.
func (c *vectorIndex) queries(a asked) int {
	switch {
	case c.slow:
		return slowQueries
	case a.filter != "-":
		return filterQueries
	}
	return vectorQueries
}

func newVectorIndex(name string) *vectorIndex {
	return &vectorIndex{name: name, stop: func() {}, at: map[target]int{}, rates: map[target][]float64{}, p95: map[target][]float64{}}
}

// sweep finds the least ef that reaches each recall. It may take until the
// deadline: a contender that is not there by then never gets there.
func (c *vectorIndex) sweep(truth [][]uint32, filter string, recalls []float64, efs, threads []int) error {
	for _, ef := range efs {
		a, err := c.run(asked{ef: ef, threads: 2, filter: filter})
		if err != nil {
			return err
		}
		reached := recallOf(a.Found, truth)
		for _, r := range recalls {
			for _, n := range threads {
				if t := (target{r, n, filter}); c.at[t] == 0 && reached >= r {
					c.at[t] = ef
				}
			}
		}
		if reached >= slices.Max(recalls) || a.Seconds > slowestSweep {
			break
		}
	}
	return nil
}

// slowestSweep ends a search for a better ef, in seconds for all queries.
const slowestSweep = 3

// measure runs c once at a target it can reach.
func (c *vectorIndex) measure(t target) error {
	ef, ok := c.at[t]
	if !ok {
		return nil
	}
	a, err := c.run(asked{ef: ef, threads: t.threads, filter: t.filter})
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.rates[t] = append(c.rates[t], float64(len(a.Found))/a.Seconds)
	c.p95[t] = append(c.p95[t], a.P95*1000)
	return nil
}

func recallOf(found, truth [][]uint32) float64 {
	hits, all := 0, 0
	for i := range min(len(found), len(truth)) {
		all += len(truth[i])
		for _, row := range truth[i] {
			if slices.Contains(found[i], row) {
				hits++
			}
		}
	}
	return float64(hits) / float64(max(1, all))
}

// ownVectorIndex opens our segment of the data, and builds it the first time.
func (b *bench) ownVectorIndex(ctx context.Context, d *vectorData, filters map[string]*ann.Bitmap) (*ann.Segment, *vectorIndex, error) {
	path := d.file("selvage")
	c := newVectorIndex("selvage")
	if err := readTimes(path, &c.built); errors.Is(err, fs.ErrNotExist) || b.vectorRebuild {
		began, cpu := time.Now(), processorSeconds()
		if err := ann.Build(ctx, fsx.FS{}, path, ann.Config{Dim: d.dim, Metric: ann.Cosine}, d); err != nil {
			return nil, nil, err
		}
		c.built = built{Build: time.Since(began).Seconds(), Processor: processorSeconds() - cpu}
		if err := os.WriteFile(path+".times", fmt.Appendf(nil, "%g %g\n", c.built.Build, c.built.Processor), 0o600); err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	seg, err := ann.Open(path)
	if err != nil {
		return nil, nil, err
	}
	b.report.want(d.suite(), "open, checksums of codes and graph verified", time.Since(began).Seconds()*1000, "ms", "<=", 1000)
	c.built.Memory = float64(seg.Memory())
	c.run = func(a asked) (*answers, error) {
		return askSegment(seg, d, c.queries(a), a.threads, ann.SearchOptions{K: vectorK, Ef: a.ef, Filter: filters[a.filter]})
	}
	c.stop = func() { _ = seg.Close() }
	return seg, c, nil
}

func readTimes(path string, to *built) error {
	text, err := os.ReadFile(path + ".times")
	if err != nil {
		return err
	}
	_, err = fmt.Sscan(string(text), &to.Build, &to.Processor)
	return err
}

// processorSeconds is the processor time of this process.
func processorSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// askSegment asks the first n queries, shared by some goroutines.
func askSegment(seg *ann.Segment, d *vectorData, n, threads int, o ann.SearchOptions) (*answers, error) {
	a := &answers{Found: make([][]uint32, n)}
	took, errs := make([]float64, n), make([]error, threads)
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for t := range threads {
		wg.Go(func() {
			got := make([]ann.Candidate, 0, o.K)
			for i := int(next.Add(1)) - 1; i < n && errs[t] == nil; i = int(next.Add(1)) - 1 {
				start := time.Now()
				got, errs[t] = seg.Search(got[:0], d.query(i), o)
				took[i] = time.Since(start).Seconds()
				for _, c := range got {
					a.Found[i] = append(a.Found[i], c.Row)
				}
			}
		})
	}
	wg.Wait()
	a.Seconds, a.P95 = time.Since(began).Seconds(), quantile(took, 0.95)
	return a, errors.Join(errs...)
}

// vectorPeer starts a peer and waits until its index is built or read.
func (b *bench) vectorPeer(ctx context.Context, name string, d *vectorData) (*vectorIndex, error) {
	const dir = "bench/peers/vectors/"
	program := []string{dir + "node_modules/.graph"}
	if script := map[string]string{"sqlitevec": "run.cjs", "lancedb": "lance.cjs"}[name]; script != "" {
		program = []string{b.tools["node"], "--no-warnings", dir + script}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".graph")); err != nil {
		return nil, fmt.Errorf("the peers are not installed; run scripts/bench-vectors: %w", err)
	}
	args := append(program[1:], name, strconv.Itoa(d.dim), d.file("base.f32"), d.file("queries.f32"), strconv.Itoa(runtime.NumCPU()), d.file(name))
	cmd := exec.CommandContext(ctx, program[0], args...)
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
	c := newVectorIndex(name)
	c.slow, c.unfiltered = name == "sqlitevec", name == "sqlitevec" || name == "lancedb"
	c.stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	lines := json.NewDecoder(bufio.NewReader(out))
	if err := lines.Decode(&c.built); err != nil {
		c.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.run = func(a asked) (*answers, error) {
		filter := a.filter
		if filter != "-" {
			filter = d.file(filter)
		}
		if _, err := fmt.Fprintln(in, a.ef, a.threads, c.queries(a), filter); err != nil {
			return nil, err
		}
		got := &answers{}
		if err := lines.Decode(got); err != nil {
			return nil, fmt.Errorf("%s: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
		}
		return got, nil
	}
	return c, nil
}
