package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/ann/anntest"
)

// vectorScript asks its index as an app does: the question comes in with the request.
const vectorScript = `export default { async fetch(request, env) {
	const { vector, namespace } = await request.json();
	return Response.json(await env.DOCS.query(vector, { topK: 10, namespace }));
} }`

const (
	vectorSeed   = 11
	vectorAsked  = 500 // different questions
	vectorSpace  = "small"
	vectorInThat = 1000 // vectors of the namespace vectorSpace
)

// vectorHost is a platform with an index of n vectors, which a worker searches.
type vectorHost struct {
	*platform

	n, dim int
	rows   *anntest.Clustered
	bodies [][]byte // of requests to the worker
	asked  atomic.Int64
}

// vectorHost starts a platform with an index of n vectors. With a folder for prepared
// data (-vectordata) it is filled once and used again by later runs.
func (b *bench) vectorHost(ctx context.Context, n, dim int) (*vectorHost, error) {
	folder := ""
	if b.vectorData != "" {
		folder = filepath.Join(b.vectorData, fmt.Sprintf("%dx%d", n, dim))
	}
	_, err := os.Stat(filepath.Join(folder, "ready"))
	ready := folder != "" && err == nil
	if folder != "" && !ready {
		if err := os.RemoveAll(folder); err != nil { // of a run that was interrupted
			return nil, err
		}
	}
	p, err := b.platform(folder)
	if err != nil {
		return nil, err
	}
	h := &vectorHost{platform: p, n: n, dim: dim, rows: anntest.NewClustered(dim, vectorSeed)}
	if !ready {
		if err := h.fill(ctx); err != nil {
			p.stop()
			return nil, err
		}
		if folder != "" {
			err = os.WriteFile(filepath.Join(folder, "ready"), nil, 0o600)
			if err != nil {
				p.stop()
				return nil, err
			}
		}
	}
	h.questions()
	if _, err = h.ask(ctx, 0); err != nil { // starts the worker and opens the index
		p.stop()
		return nil, err
	}
	return h, nil
}

// fill makes the index and the worker.
func (h *vectorHost) fill(ctx context.Context) error {
	began := time.Now()
	if _, err := h.client.CreateVectorIndex(ctx, client.VectorIndex{Name: "docs", Config: client.VectorIndexConfig{Dimensions: h.dim, Metric: "cosine"}}); err != nil {
		return err
	}
	if err := h.each(ctx, 0, h.n, func(lines []byte) error {
		_, err := h.client.PutVectors(ctx, "docs", true, lines)
		return err
	}); err != nil {
		return err
	}
	fmt.Printf("  %d vectors were sent in %s\n", h.n, time.Since(began).Round(time.Second))
	if err := h.settled(ctx); err != nil {
		return err
	}
	fmt.Printf("  and are in segments that no longer change after %s\n", time.Since(began).Round(time.Second))
	_, err := h.client.Deploy(ctx, "search", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(vectorScript)}},
		Bindings:          []any{map[string]string{"type": "vectorize", "name": "DOCS", "index_name": "docs"}},
		CompatibilityDate: "2026-09-01",
	})
	if err == nil {
		_, err = h.client.SetPlace(ctx, "search", true, nil)
	}
	return err
}

// each calls put with the lines of vectors from one row to another, a batch at a time,
// on two connections.
func (h *vectorHost) each(ctx context.Context, from, to int, put func(lines []byte) error) error {
	const batch, senders = 1000, 2
	var next atomic.Int64
	next.Store(int64(from))
	errs := make(chan error, senders)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				at := int(next.Add(batch)) - batch
				if at >= to {
					return
				}
				if err := put(h.lines(at, min(batch, to-at))); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// lines are n rows as newline-delimited JSON. The first rows are in a namespace of
// their own.
func (h *vectorHost) lines(from, n int) []byte {
	var out []byte
	rows := h.rows.Rows(from, n)
	for i := range n {
		out = fmt.Appendf(out, `{"id":"v%d","values":`, from+i)
		out = appendFloats(out, rows[i*h.dim:(i+1)*h.dim])
		if from+i < vectorInThat {
			out = append(out, `,"namespace":"`+vectorSpace+`"`...)
		}
		out = append(out, "}\n"...)
	}
	return out
}

func appendFloats(out []byte, values []float32) []byte {
	out = append(out, '[')
	for i, x := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, float64(x), 'g', -1, 32)
	}
	return append(out, ']')
}

// settled waits until the platform has nothing to do in the background any more: for
// longer than it takes to tidy up when nothing is written.
func (h *vectorHost) settled(ctx context.Context) error {
	for calm := 0; calm < 13; {
		before, err := cpu(h.PID)
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := cpu(h.PID)
		if err != nil {
			return err
		}
		making, err := filepath.Glob(filepath.Join(h.data, "vectorize", "*", ".*.tmp"))
		if err != nil {
			return err
		}
		if calm++; after-before > 100*time.Millisecond || len(making) > 0 {
			calm = 0
		}
	}
	return nil
}

// questions are vectors of the same kind that are not in the index.
func (h *vectorHost) questions() {
	rows := h.rows.Rows(1<<30, vectorAsked)
	for i := range vectorAsked {
		body := append([]byte(`{"vector":`), appendFloats(nil, rows[i*h.dim:(i+1)*h.dim])...)
		h.bodies = append(h.bodies, append(body, '}'))
	}
}

// vectorClient keeps its connections, as a browser does.
var vectorClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute} //nolint:gochecknoglobals // a constant

// ask asks the worker a question and returns how long the answer took.
func (h *vectorHost) ask(ctx context.Context, question int) (time.Duration, error) {
	return h.askBody(ctx, h.bodies[question%len(h.bodies)])
}

func (h *vectorHost) askBody(ctx context.Context, body []byte) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.EdgeURL+"/", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Host = h.host("search")
	began := time.Now()
	res, err := vectorClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Count int `json:"count"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil || answer.Count != 10 {
		return 0, fmt.Errorf("the worker answered %s: %.200s", res.Status, text)
	}
	return took, nil
}

// during asks one question after the other on one connection for a while and returns
// how long each took, in milliseconds.
func (h *vectorHost) during(ctx context.Context, d time.Duration) ([]float64, error) {
	var took []float64
	for end := time.Now().Add(d); time.Now().Before(end); {
		t, err := h.ask(ctx, int(h.asked.Add(1)))
		if err != nil {
			return nil, err
		}
		took = append(took, float64(t.Microseconds())/1000)
	}
	return took, nil
}
