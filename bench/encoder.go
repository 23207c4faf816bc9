package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
	"github.com/selvage-dev/selvage/internal/infer/kernels"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

const encoderSuite = "encoder"

// encoderShape is one measurement: so many texts of so many tokens.
type encoderShape struct{ tokens, batch, threads int }

func (s encoderShape) String() string {
	return fmt.Sprintf("%d tokens, batch %d, %d thread%s", s.tokens, s.batch, s.threads, strings.Repeat("s", min(1, s.threads-1)))
}

// encoders compares our encoder with ONNX Runtime in 8 bits on a model of BERT-base's
// shape, and both with ONNX Runtime in float32.
func encoders(ctx context.Context, b *bench) error {
	if out, err := exec.CommandContext(ctx, "scripts/bench-encoder").CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/bench-encoder: %w: %s", err, out)
	}
	fmt.Printf("  kernels: %s\n", kernels.Level())
	spec := infertest.Base()
	dir, err := os.MkdirTemp(b.dir, "base")
	if err != nil {
		return err
	}
	if err := spec.Write(dir); err != nil {
		return err
	}
	names := map[bool]string{}
	for _, bytes := range []bool{false, true} {
		names[bytes] = filepath.Join(dir, fmt.Sprintf("bytes-%v.onnx", bytes))
		if err := writeONNX(names[bytes], &spec, bytes); err != nil {
			return err
		}
	}
	exact, err := b.onnx(ctx, names[false], 1)
	if err != nil {
		return err
	}
	defer exact.stop()
	for _, threads := range []int{1, 2} {
		if err := b.encodersAt(ctx, &spec, dir, names[true], exact, threads); err != nil {
			return err
		}
	}
	if err := b.tokenizers(dir); err != nil {
		return err
	}
	return b.embedByWorker(ctx)
}

// encodersAt compares at one number of threads.
func (b *bench) encodersAt(ctx context.Context, spec *infertest.Spec, dir, model string, exact *onnxPeer, threads int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	ours, err := infer.OpenEncoder(dir, infer.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer func() { _ = ours.Close() }()
	theirs, err := b.onnx(ctx, model, threads)
	if err != nil {
		return err
	}
	defer theirs.stop()
	tok, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		return err
	}
	for _, tokens := range []int{32, 128, 512} {
		for _, batch := range []int{1, 16} {
			s := encoderShape{tokens, batch, threads}
			texts, ids, err := encoderTexts(spec, tok, s)
			if err != nil {
				return err
			}
			if err := b.encoderRound(ctx, s, ours, theirs, texts, ids); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
			if batch != 1 || threads != 1 {
				continue
			}
			if err := b.encoderAccuracy(ctx, s, ours, theirs, exact, texts, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// encoderTexts makes texts of exactly so many tokens, all different.
func encoderTexts(spec *infertest.Spec, tok *tokenizer.Tokenizer, s encoderShape) (texts []string, ids [][]int32, err error) {
	var words []string
	for _, w := range infertest.Vocabulary(spec.Vocabulary) {
		if len(w) > 3 && w[0] != '[' && w[0] != '#' {
			words = append(words, w)
		}
	}
	for i := range s.batch {
		var text []string
		for j := range s.tokens - 2 {
			text = append(text, words[(i*7919+j*104729)%len(words)])
		}
		x := tok.Encode(strings.Join(text, " "), s.tokens)
		if len(x.IDs) != s.tokens {
			return nil, nil, fmt.Errorf("a text of %d words has %d tokens", len(text), len(x.IDs))
		}
		texts, ids = append(texts, strings.Join(text, " ")), append(ids, x.IDs)
	}
	return texts, ids, nil
}

// encoderRound takes turns: each contender runs for about the same time in each round.
func (b *bench) encoderRound(ctx context.Context, s encoderShape, ours *infer.Encoder, theirs *onnxPeer, texts []string, ids [][]int32) error {
	times := max(1, 4096/(s.tokens*s.batch))
	var us, them, usCPU, themCPU []float64
	for round := range b.rounds + 1 {
		var mine []float64
		before := selfCPU()
		for range times {
			began := time.Now()
			if _, _, err := ours.Embed(ctx, texts, infer.Mean); err != nil {
				return err
			}
			mine = append(mine, time.Since(began).Seconds())
		}
		cpu := (selfCPU() - before).Seconds() / float64(times)
		a, err := theirs.run(ids, times)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // both have warmed up
		}
		us, them = append(us, median(mine)), append(them, median(a.Seconds))
		usCPU, themCPU = append(usCPU, cpu), append(themCPU, a.Processor/float64(times))
	}
	ratios := make([]float64, len(us))
	for i := range us {
		ratios[i] = us[i] / them[i]
	}
	b.report.add(encoderSuite, s.String()+": selvage", median(us)*1000, "ms")
	b.report.add(encoderSuite, s.String()+": ONNX Runtime int8", median(them)*1000, "ms")
	b.report.want(encoderSuite, s.String()+": selvage / ONNX Runtime", median(ratios), "×", "<=", 0.8)
	b.report.add(encoderSuite, s.String()+": the same, processor time", median(usCPU)/median(themCPU), "×")
	return nil
}

// encoderAccuracy compares both with float32.
func (b *bench) encoderAccuracy(ctx context.Context, s encoderShape, ours *infer.Encoder, theirs, exact *onnxPeer, texts []string, ids [][]int32) error {
	us, _, err := ours.Embed(ctx, texts, infer.Mean)
	if err != nil {
		return err
	}
	them, err := theirs.run(ids, 1)
	if err != nil {
		return err
	}
	want, err := exact.run(ids, 1)
	if err != nil {
		return err
	}
	cosine := func(got [][]float32) float64 {
		least := 1.0
		for i := range got {
			least = min(least, infertest.Cosine(want.Means[i], got[i]))
		}
		return least
	}
	b.report.want(encoderSuite, fmt.Sprintf("%d tokens: selvage's cosine with float32", s.tokens), cosine(us), "", ">=", 0.999)
	var theirMeans [][]float32
	for _, m := range them.Means {
		v := make([]float32, len(m))
		for i, x := range m {
			v[i] = float32(x)
		}
		theirMeans = append(theirMeans, v)
	}
	b.report.add(encoderSuite, fmt.Sprintf("%d tokens: ONNX Runtime int8's cosine with float32", s.tokens), cosine(theirMeans), "")
	return nil
}

// tokenizers measures how many bytes of text a second become tokens.
func (b *bench) tokenizers(dir string) error {
	tok, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		return err
	}
	vocabulary := infertest.Vocabulary(30522)
	var text strings.Builder
	for i := range 100_000 { // most words are one token, some several, as in English
		w := strings.TrimPrefix(vocabulary[(i*7919+200)%len(vocabulary)], "##")
		if i%5 == 0 {
			w += "ing"
		}
		if text.WriteString(w); i%12 == 11 {
			text.WriteByte('.')
		}
		text.WriteByte(' ')
	}
	s := text.String()
	var rates []float64
	for range b.rounds {
		began := time.Now()
		if x := tok.Encode(s, 1<<30); len(x.IDs) < 100_000 {
			return fmt.Errorf("%d tokens", len(x.IDs))
		}
		rates = append(rates, float64(len(s))/1e6/time.Since(began).Seconds())
	}
	b.report.want(encoderSuite, "tokenizer, WordPiece, one thread", median(rates), "MB/s", ">=", 50)
	return nil
}

// onnxPeer is a model in ONNX Runtime, in a process of its own.
type onnxPeer struct {
	*process

	in  io.Writer
	out *bufio.Reader
}

type onnxAnswer struct {
	Seconds   []float64   `json:"seconds"`
	Processor float64     `json:"processor"`
	Means     [][]float64 `json:"means"`
}

func (b *bench) onnx(ctx context.Context, model string, threads int) (*onnxPeer, error) {
	cmd := exec.CommandContext(ctx, b.tools["node"], filepath.Join("bench", "peers", "encoder", "run.cjs"), model, strconv.Itoa(threads))
	var log strings.Builder
	cmd.Stderr = &log
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
	p := &onnxPeer{&process{cmd}, in, bufio.NewReaderSize(out, 1<<20)}
	if line, err := p.out.ReadString('\n'); err != nil {
		p.stop()
		return nil, fmt.Errorf("ONNX Runtime (scripts/bench-encoder installs it): %w: %s%s", err, line, log.String())
	}
	return p, nil
}

func (p *onnxPeer) run(ids [][]int32, times int) (*onnxAnswer, error) {
	raw, err := json.Marshal(map[string]any{"ids": ids, "times": times})
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(raw, '\n')); err != nil {
		return nil, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	a := &onnxAnswer{}
	if err := json.Unmarshal(line, a); err != nil || len(a.Means) != len(ids) {
		return nil, errors.Join(err, fmt.Errorf("ONNX Runtime answered %.100s", line))
	}
	return a, nil
}

// selfCPU is the processor time of this process.
func selfCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
