package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

// llama is llama.cpp with a model, in a process of its own.
type llama struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	loadMS float64
}

func startLlama(ctx context.Context, model string, threads int) (*llama, error) {
	l := &llama{cmd: exec.CommandContext(ctx, "node", "bench/peers/decode/run.mjs", model, strconv.Itoa(threads))}
	l.cmd.Stderr = os.Stderr
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = bufio.NewReaderSize(out, 1<<20)
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct {
		LoadMS float64 `json:"loadMs"`
	}
	if err := l.read(&ready); err != nil {
		l.stop()
		return nil, err
	}
	l.loadMS = ready.LoadMS
	return l, nil
}

func (l *llama) read(v any) error {
	line, err := l.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("llama.cpp: %w", err)
	}
	return json.Unmarshal(line, v)
}

func (l *llama) ask(question, answer any) error {
	if err := json.NewEncoder(l.in).Encode(question); err != nil {
		return err
	}
	return l.read(answer)
}

// write has it read a prompt and write a text, as our write does.
func (l *llama) write(prompt, tokens int) (written, error) {
	ids := make([]int, prompt)
	for j := range ids {
		ids[j] = 100 + j*7%5000
	}
	var a struct {
		First float64 `json:"firstMs"`
		Rest  float64 `json:"restMs"`
	}
	err := l.ask(map[string]any{"prompt": ids, "generate": tokens}, &a)
	return written{prompt: float64(prompt) / a.First * 1000, text: float64(tokens) / a.Rest * 1000}, err
}

func (l *llama) stop() {
	_ = l.in.Close()
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait()
}

// decodeAgreement compares what we and llama.cpp make of the same small models:
// tokens of a text, and the probabilities after each token of a prompt.
func (b *bench) decodeAgreement(ctx context.Context) error {
	for _, arch := range []string{"llama", "qwen2", "qwen3"} {
		s := decodertest.Tiny(arch)
		s.Tied = false
		path, err := b.modelFile("tiny-"+arch, &s)
		if err != nil {
			return err
		}
		if err := b.agree(ctx, arch, path); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) agree(ctx context.Context, arch, path string) error {
	m, err := decoder.Open(path, decoder.Options{Threads: decodeThreads})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	peer, err := startLlama(ctx, path, decodeThreads)
	if err != nil {
		return err
	}
	defer peer.stop()
	const text = "the other words of 12345, and their 世界 is hot;\n\n   she said it's \"what\" they  were"
	var a struct {
		Tokens        []int32        `json:"tokens"`
		Probabilities [][][2]float64 `json:"probabilities"`
	}
	if err := peer.ask(map[string]any{"text": text}, &a); err != nil {
		return err
	}
	ids := m.Tokens(text, false, 0)
	same := 0.0
	if slices.Equal(ids, a.Tokens) {
		same = 1
	}
	b.report.want(decodeSuite, arch+": a text's tokens are llama.cpp's", same, "", ">=", 1)
	if err := peer.ask(map[string]any{"prompt": ids, "probabilities": true}, &a); err != nil {
		return err
	}
	var worst, top float64
	for n := range ids {
		mine, err := m.Probabilities(ctx, ids[:n+1])
		if err != nil {
			return err
		}
		best := 0
		for id, p := range mine {
			if p > mine[best] {
				best = id
			}
		}
		if int(a.Probabilities[n][0][0]) == best {
			top++
		}
		for _, x := range a.Probabilities[n] {
			worst = max(worst, math.Abs(mine[int(x[0])]-x[1]))
		}
	}
	b.report.want(decodeSuite, arch+": share of tokens after which both hold the same to be likeliest", top/float64(len(ids)), "×", ">=", 0.9)
	b.report.want(decodeSuite, arch+": largest difference of a probability", worst, "", "<=", 0.1)
	return nil
}
