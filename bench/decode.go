package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

const (
	decodeSuite   = "decode"
	decodeThreads = 2
	decodePrompt  = 100
	decodeLong    = 512
	decodeTokens  = 32
	decodeChats   = 8
	// The decodeTokenBytes are the keys and values of a token: 28 layers of 2 heads
	// of 128 channels, twice, in 16 bits.
	decodeTokenBytes = 28 * 2 * 128 * 2 * 2
	// The decodeMemory is what is read to see how fast the memory is.
	decodeMemory = 1 << 30
)

// decoders compares our decoder with llama.cpp, both on two threads, on models of
// the shapes of Qwen 2.5 with random weights in Q4_0.
func decoders(ctx context.Context, b *bench) error {
	if out, err := exec.CommandContext(ctx, "scripts/bench-decode").CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/bench-decode: %w: %s", err, out)
	}
	fmt.Printf("  kernels: %s\n", blocks.Level())
	if err := b.decodeAgreement(ctx); err != nil {
		return err
	}
	large, small := decodertest.Qwen15(blocks.Q4), decodertest.Qwen05(blocks.Q4)
	path, err := b.modelFile("qwen15", &large)
	if err != nil {
		return err
	}
	for threads := 1; threads <= decodeThreads; threads++ {
		if err := b.decodeLarge(ctx, path, threads); err != nil {
			return err
		}
	}
	return b.decodeSmall(ctx, &small)
}

// modelFile writes a model, and returns its path.
func (b *bench) modelFile(name string, s *decodertest.Shape) (string, error) {
	path := filepath.Join(b.dir, name+".gguf")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(s.WriteGGUF(f), f.Close())
}

// decodeLarge measures the model of 1.5 billion weights.
func (b *bench) decodeLarge(ctx context.Context, path string, threads int) error {
	before, err := resident(os.Getpid())
	if err != nil {
		return err
	}
	began := time.Now()
	m, err := decoder.Open(path, decoder.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	b.report.want(decodeSuite, "opening 0.93 GB, in the system's cache", time.Since(began).Seconds(), "s", "<=", 1)
	peer, err := startLlama(ctx, path, threads)
	if err != nil {
		return err
	}
	defer peer.stop()
	b.report.add(decodeSuite, "llama.cpp: opening", peer.loadMS/1000, "s")
	if err := b.decodeRace(ctx, m, peer, threads); err != nil {
		return err
	}
	after, err := resident(os.Getpid())
	if err != nil {
		return err
	}
	weights := float64(m.Info().WeightBytes) / 1e6
	// Of the cache, what the prompts and texts took of it.
	tokens := b.rounds * (decodePrompt + decodeLong + 2*decodeTokens + decodeChats*(4+decodeTokens))
	cache := min(float64(tokens*decodeTokenBytes), float64(m.Info().CacheBytes)) / 1e6
	b.report.want(decodeSuite, "memory more than before opening, less keys and values / weights", (after-before-cache)/weights, "×", "<=", 1.1)
	return nil
}

// decodeRace runs the contenders in turn.
func (b *bench) decodeRace(ctx context.Context, m *decoder.Model, peer *llama, threads int) error {
	var limit, ours, theirs, many, short, shortTheirs, long, longTheirs []float64
	weights := float64(m.Info().WeightBytes)
	for round := range b.rounds {
		rate, err := memoryRate()
		if err != nil {
			return err
		}
		limit = append(limit, rate)
		for _, n := range []int{decodePrompt, decodeLong} {
			mine, err := write(ctx, m, round*10+n, n, decodeTokens, 1)
			if err != nil {
				return err
			}
			other, err := peer.write(n, decodeTokens)
			if err != nil {
				return err
			}
			if n == decodePrompt {
				short, shortTheirs = append(short, mine.prompt), append(shortTheirs, other.prompt)
				ours, theirs = append(ours, mine.text), append(theirs, other.text)
			} else {
				long, longTheirs = append(long, mine.prompt), append(longTheirs, other.prompt)
			}
		}
		all, err := write(ctx, m, round, 4, decodeTokens, decodeChats)
		if err != nil {
			return err
		}
		many = append(many, all.text)
	}
	r, what := &b.report, fmt.Sprintf("1.5B Q4_0, %d threads: ", threads)
	r.add(decodeSuite, "reading memory, two threads", median(limit)/1e9, "GB/s")
	r.add(decodeSuite, what+"writing", median(ours), "tokens/s")
	r.add(decodeSuite, what+"writing, llama.cpp", median(theirs), "tokens/s")
	r.want(decodeSuite, what+"writing / llama.cpp", ratios(ours, theirs), "×", ">=", 1)
	r.add(decodeSuite, what+"weights read while writing / the memory's rate", median(ours)*weights/median(limit), "×")
	r.add(decodeSuite, fmt.Sprintf("%sa prompt of %d tokens", what, decodePrompt), median(short), "tokens/s")
	r.want(decodeSuite, fmt.Sprintf("%sa prompt of %d tokens / llama.cpp", what, decodePrompt), ratios(short, shortTheirs), "×", ">=", 0.8)
	r.add(decodeSuite, fmt.Sprintf("%sa prompt of %d tokens", what, decodeLong), median(long), "tokens/s")
	r.want(decodeSuite, fmt.Sprintf("%sa prompt of %d tokens / llama.cpp", what, decodeLong), ratios(long, longTheirs), "×", ">=", 0.8)
	r.add(decodeSuite, fmt.Sprintf("%s%d texts at once", what, decodeChats), median(many), "tokens/s")
	r.want(decodeSuite, fmt.Sprintf("%s%d texts at once / one", what, decodeChats), ratios(many, ours), "×", ">=", 2.5)
	return nil
}

// decodeSmall measures the model of half a billion weights.
func (b *bench) decodeSmall(ctx context.Context, s *decodertest.Shape) error {
	path, err := b.modelFile("qwen05", s)
	if err != nil {
		return err
	}
	m, err := decoder.Open(path, decoder.Options{Threads: decodeThreads})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	var first, rate []float64
	for round := range b.rounds {
		w, err := write(ctx, m, round, decodePrompt, decodeTokens, 1)
		if err != nil {
			return err
		}
		first, rate = append(first, decodePrompt/w.prompt*1000), append(rate, w.text)
	}
	b.report.want(decodeSuite, "0.5B Q4_0: first token after a prompt of 100", median(first), "ms", "<=", 200)
	b.report.add(decodeSuite, "0.5B Q4_0: writing", median(rate), "tokens/s")
	return nil
}

// written is how fast a prompt was read, and a text written, in tokens a second.
type written struct{ prompt, text float64 }

// write has texts written at once after prompts that the cache does not have. The text's rate
// is of all, from when the last prompt was read.
func write(ctx context.Context, m *decoder.Model, seed, prompt, tokens, texts int) (written, error) {
	began := time.Now()
	firsts, errs := make([]time.Time, texts), make([]error, texts)
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() {
			ids := make([]int32, prompt)
			for j := range ids {
				ids[j] = int32(100 + (j*7+seed*131+i*17)%5000)
			}
			first := func(decoder.Piece) error {
				if firsts[i].IsZero() {
					firsts[i] = time.Now()
				}
				return nil
			}
			// Whatever the model thinks, it goes on.
			_, errs[i] = m.Generate(ctx, &decoder.Request{Prompt: ids, MaxTokens: tokens + 1, Mask: allBut{m}}, first)
		})
	}
	wg.Wait()
	last := firsts[0]
	for _, t := range firsts {
		if t.After(last) {
			last = t
		}
	}
	return written{
		prompt: float64(prompt*texts) / last.Sub(began).Seconds(),
		text:   float64(texts*tokens) / time.Since(last).Seconds(),
	}, errors.Join(errs...)
}

// allBut is a mask that leaves out what ends a text.
type allBut struct{ m *decoder.Model }

// Allowed allows all that do not end the text.
func (a allBut) Allowed(set decoder.TokenSet) {
	for i := range set {
		set[i] = math.MaxUint64
	}
	for i := range a.m.Info().Vocabulary {
		if a.m.Ends(int32(i)) {
			set[i>>6] &^= 1 << (i & 63)
		}
	}
}

// Accept does nothing.
func (allBut) Accept(int32) error { return nil }

// memoryRate is how many bytes a second two threads read.
func memoryRate() (float64, error) {
	memory, err := unix.Mmap(-1, 0, decodeMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Munmap(memory) }()
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE)
	for i := 0; i < len(memory); i += unix.Getpagesize() {
		memory[i] = 1
	}
	best := 0.0
	for range 3 {
		began := time.Now()
		var wg sync.WaitGroup
		for part := range decodeThreads {
			wg.Go(func() {
				if bytes.IndexByte(memory[part*decodeMemory/decodeThreads:(part+1)*decodeMemory/decodeThreads], 7) >= 0 {
					panic("the memory has a 7")
				}
			})
		}
		wg.Wait()
		best = max(best, decodeMemory/time.Since(began).Seconds())
	}
	return best, nil
}

// ratios is the median of the rounds' ratios.
func ratios(a, b []float64) float64 {
	var out []float64
	for i := range a {
		out = append(out, a[i]/b[i])
	}
	return median(out)
}
