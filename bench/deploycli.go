package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// deployWithoutNode deploys the same small worker with wrangler and with
// "selvage deploy", in turn.
func deployWithoutNode(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	dir, err := os.MkdirTemp(b.dir, "app-")
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"name": "app", "main": "index.ts", "compatibility_date": "2026-09-01", "vars": map[string]string{"A": "x"}})
	if err != nil {
		return err
	}
	write := func(i int) error {
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "wrangler.json"), config, 0o600),
			os.WriteFile(filepath.Join(dir, "index.ts"), []byte(strings.ReplaceAll(helloScript, "hello", fmt.Sprint("hello ", i))), 0o600),
		)
	}
	var theirs, ours, build, ratios []float64
	for i := range b.rounds + 1 {
		if err := write(2 * i); err != nil {
			return err
		}
		began := time.Now()
		if err := b.wrangler(ctx, p, dir, "deploy"); err != nil {
			return err
		}
		slow := time.Since(began)
		if err := write(2*i + 1); err != nil {
			return err
		}
		began = time.Now()
		buildMS, err := b.selvageDeploy(ctx, p, dir)
		if err != nil {
			return err
		}
		fast := time.Since(began)
		if i > 0 { // The first one makes the worker; the others are the common case.
			theirs, ours = append(theirs, slow.Seconds()*1000), append(ours, fast.Seconds()*1000)
			build, ratios = append(build, buildMS), append(ratios, slow.Seconds()/fast.Seconds())
		}
	}
	b.report.add("deploycli", "wrangler deploy, whole command", median(theirs), "ms")
	b.report.want("deploycli", "selvage deploy, whole command, workerd's start included", median(ours), "ms", "<=", 300)
	b.report.add("deploycli", "of which reading the configuration and bundling", median(build), "ms")
	b.report.want("deploycli", "selvage deploy against wrangler deploy", median(ratios), "x", ">=", 5)
	return nil
}

// selvageDeploy returns how long building took, in ms.
func (b *bench) selvageDeploy(ctx context.Context, p *platform, dir string) (float64, error) {
	cmd := exec.CommandContext(ctx, b.tools["selvage"], "deploy", "--json", "--data", p.data)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + b.dir} // no PATH: there is no Node.js to find
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("selvage deploy: %w", err)
	}
	var said struct {
		BuildMS float64 `json:"build_ms"`
	}
	return said.BuildMS, json.Unmarshal(out, &said)
}
