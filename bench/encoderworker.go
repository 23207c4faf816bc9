package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

const (
	// The encoderModel is one of the catalogue; its weights are seeded ones of the same shape.
	encoderModel  = "@cf/baai/bge-small-en-v1.5"
	encoderScript = `export default { async fetch(request, env) {
	const { data } = await env.AI.run("` + encoderModel + `", { text: await request.text() });
	return Response.json(data[0].length);
} }`
	encoderText    = "the stones of the store; nobody goes there, but who? to be or not"
	encoderClients = 4
)

// embedByWorker is how many texts a second a worker has embedded by a model of
// bge-small's shape: each request one text, as an app asks.
func (b *bench) embedByWorker(ctx context.Context) error {
	spec := infertest.Small()
	dir, err := os.MkdirTemp(b.dir, "small")
	if err != nil {
		return err
	}
	if err := spec.Write(dir); err != nil {
		return err
	}
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	cmd := exec.CommandContext(ctx, b.tools["selvage"], "ai", "add", encoderModel, "--from", dir, "--data", p.data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("selvage ai add: %w: %s", err, out)
	}
	if _, err := p.client.Deploy(ctx, "embed", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(encoderScript)}},
		CompatibilityDate: "2026-09-01",
		Bindings:          []any{map[string]string{"type": "ai", "name": "AI"}},
	}); err != nil {
		return err
	}
	if _, err := p.client.SetPlace(ctx, "embed", true, nil); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // the model is loaded first
		if err := p.embedOnce(ctx); err == nil {
			break
		} else if time.Now().After(deadline) {
			return err
		}
	}
	var rates, means []float64
	for range b.rounds {
		n, err := p.embedFor(ctx, b.seconds)
		if err != nil {
			return err
		}
		rate := float64(n) / b.seconds.Seconds()
		rates, means = append(rates, rate), append(means, 1000*encoderClients/rate)
	}
	b.report.want(encoderSuite, fmt.Sprintf("BERT-small by a worker, %d clients: requests", encoderClients), median(rates), "/s", ">=", 100)
	b.report.want(encoderSuite, fmt.Sprintf("BERT-small by a worker, %d clients: mean", encoderClients), median(means), "ms", "<=", 50)
	return nil
}

// embedFor has clients ask for a while, and returns how many answers came.
func (p *platform) embedFor(ctx context.Context, d time.Duration) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range encoderClients {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				if err := p.embedOnce(ctx); err != nil {
					cancel(err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load(), context.Cause(ctx)
}

func (p *platform) embedOnce(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.EdgeURL+"/", strings.NewReader(encoderText))
	if err != nil {
		return err
	}
	req.Host = p.host("embed")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(answer) != "384") {
		err = fmt.Errorf("a worker answered %d %.200s", res.StatusCode, answer)
	}
	return err
}
