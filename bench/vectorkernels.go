package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

const (
	kernelDims    = 768
	kernelMemory  = 1 << 30
	kernelCache   = 256 << 10
	kernelSeconds = 0.5
	kernelBatch   = 32 // rows a call, as a step of a walk has them
)

// vectorKernels compares the bytes a second that distance kernels go through
// with what one thread can read at all, from memory and from the processor's
// cache. In the cache a kernel is bound by its instructions.
func vectorKernels(ctx context.Context, b *bench) error {
	memory, err := unix.Mmap(-1, 0, kernelMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(memory) }()
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE)
	for i := 0; i < len(memory); i += unix.Getpagesize() {
		memory[i] = 1
	}
	fmt.Printf("  kernels: %s\n", simd.Level())
	for _, place := range []struct {
		name  string
		bytes int
		wants float64
	}{{"memory", kernelMemory, 1.3}, {"cache", kernelCache, 0}} {
		var limits []float64
		rates := map[string][]float64{}
		for range b.rounds {
			limit, err := streamRate(ctx, place.bytes)
			if err != nil {
				return err
			}
			limits = append(limits, limit)
			for _, k := range kernelRuns() {
				rates[k.name] = append(rates[k.name], k.rate(memory[:place.bytes]))
			}
		}
		limit := median(limits)
		b.report.add("kernels", "reading "+place.name+" front to back", limit/1e9, "GB/s")
		for _, k := range kernelRuns() {
			rate := median(rates[k.name])
			b.report.add("kernels", k.name+", "+place.name, rate/1e9, "GB/s")
			what := fmt.Sprintf("limit / %s, %s", k.name, place.name)
			if place.wants > 0 && !k.random {
				b.report.want("kernels", what, limit/rate, "×", "<=", place.wants)
			} else {
				b.report.add("kernels", what, limit/rate, "×")
			}
		}
	}
	return nil
}

func streamRate(ctx context.Context, bytes int) (float64, error) {
	out, err := exec.CommandContext(ctx, "bench/peers/vectors/node_modules/.graph", "stream", strconv.Itoa(bytes), fmt.Sprint(kernelSeconds)).Output()
	if err != nil {
		return 0, fmt.Errorf("the peers are not installed; run scripts/bench-vectors: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// kernelRun is one kernel over rows of size bytes, one after the other or in no
// order.
type kernelRun struct {
	name   string
	size   int
	random bool
	call   func(data []byte, rows []uint32)
}

func kernelRuns() []kernelRun {
	query, floats := make([]int8, kernelDims), make([]float32, kernelDims)
	out := make([]int32, kernelBatch)
	four := func(data []byte, rows []uint32) { simd.DotU4Rows(out, query, data, kernelDims/2, rows) }
	eight := func(data []byte, rows []uint32) { simd.DotU8Rows(out, query, data, kernelDims, rows) }
	each := func(f func(a, b []float32) float32) func(data []byte, rows []uint32) {
		return func(data []byte, rows []uint32) {
			all := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/4)
			for _, r := range rows {
				f(floats, all[int(r)*kernelDims:int(r+1)*kernelDims])
			}
		}
	}
	return []kernelRun{
		{"4-bit codes", kernelDims / 2, false, four},
		{"8-bit codes", kernelDims, false, eight},
		{"float32 products", kernelDims * 4, false, each(simd.DotF32)},
		{"float32 distances", kernelDims * 4, false, each(simd.L2F32)},
		{"4-bit codes in no order", kernelDims / 2, true, four},
		{"8-bit codes in no order", kernelDims, true, eight},
	}
}

// rate returns the bytes a second.
func (k kernelRun) rate(data []byte) float64 {
	n := len(data) / k.size
	order := make([]uint32, n/kernelBatch*kernelBatch)
	for i := range order {
		order[i] = uint32(i)
	}
	if k.random {
		rng := rand.New(rand.NewPCG(1, 1))
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	done, began := 0, time.Now()
	for {
		for at := 0; at < len(order); at += kernelBatch {
			k.call(data, order[at:at+kernelBatch])
		}
		done += len(order)
		if took := time.Since(began).Seconds(); took > kernelSeconds {
			return float64(done) * float64(k.size) / took
		}
	}
}
