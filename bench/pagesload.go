package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/selvage-dev/selvage/client"
)

const (
	switches = 100 // deployments and rollbacks, by turns
	visitors = 8
)

// visits is what visitors of a site saw while it was deployed.
type visits struct {
	pages, failed, mixed atomic.Int64

	mu    sync.Mutex
	first string // what went wrong first
}

func (v *visits) wrong(what *atomic.Int64, format string, args ...any) {
	what.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.first == "" {
		v.first = fmt.Sprintf(format, args...)
	}
}

// pagesUnderLoad deploys and rolls back while visitors load a page and then the file that it names, which must be
// there, and of the same deployment.
func pagesUnderLoad(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if _, err := p.client.CreatePagesProject(ctx, "busy", "main", nil); err != nil {
		return err
	}
	if _, err := p.deployPages(ctx, "busy", "main", generationSite(0)); err != nil {
		return err
	}
	var v visits
	load, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() { v.visit(load, p) })
	}
	var took []float64
	var kept []string
	for i := range switches {
		began := time.Now()
		if i%2 == 0 {
			d, err := p.deployPages(ctx, "busy", "main", generationSite(i/2+1))
			if err != nil {
				return err
			}
			kept = append(kept, d.ID)
		} else if _, err := p.client.RollbackPages(ctx, "busy", kept[len(kept)/2]); err != nil {
			return err
		}
		took = append(took, ms(time.Since(began)))
	}
	stop()
	wg.Wait()
	const suite = "pages-load"
	b.report.add(suite, "deployments and rollbacks", switches, "")
	b.report.add(suite, "one of them, median", median(took), "ms")
	b.report.want(suite, "pages with their file that visitors loaded meanwhile", float64(v.pages.Load()), "", ">=", switches)
	b.report.want(suite, "failed answers", float64(v.failed.Load()), "", "<=", 0)
	b.report.want(suite, "pages whose file was another deployment's", float64(v.mixed.Load()), "", "<=", 0)
	if v.first != "" {
		fmt.Println("  the first:", v.first)
	}
	return nil
}

func generationSite(n int) fstest.MapFS {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"index.html":                       text(fmt.Sprintf("<script src=/assets/app-%d.js></script>", n)),
		fmt.Sprintf("assets/app-%d.js", n): text(fmt.Sprintf("generation %d", n)),
	}
}

func (v *visits) visit(ctx context.Context, p *platform) {
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	for ctx.Err() == nil {
		body, err := fetch(ctx, tr, p.EdgeURL+"/", "busy."+p.PagesDomain)
		if err != nil {
			if ctx.Err() == nil {
				v.wrong(&v.failed, "the page: %v", err)
			}
			continue
		}
		var n int
		if _, err := fmt.Sscanf(body, "<script src=/assets/app-%d.js>", &n); err != nil {
			v.wrong(&v.mixed, "the page is %q", body)
			continue
		}
		got, err := fetch(ctx, tr, p.EdgeURL+fmt.Sprintf("/assets/app-%d.js", n), "busy."+p.PagesDomain)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			v.wrong(&v.failed, "the file of generation %d: %v", n, err)
		case got != fmt.Sprintf("generation %d", n):
			v.wrong(&v.mixed, "the file of generation %d is %q", n, got)
		default:
			v.pages.Add(1)
		}
	}
}

func fetch(ctx context.Context, tr *http.Transport, url, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	res, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", res.Status)
	}
	return string(body), err
}

// page is how long a page takes on a connection of its own; it must have want in it.
func page(ctx context.Context, url, host, want string) (time.Duration, error) {
	tr := &http.Transport{DisableKeepAlives: true}
	began := time.Now()
	body, err := fetch(ctx, tr, url, host)
	took := time.Since(began)
	if err == nil && !strings.Contains(body, want) {
		err = fmt.Errorf("%s (%s) answered %.100q, not %q", url, host, body, want)
	}
	return took, err
}

// deployPages deploys files by the API.
func (p *platform) deployPages(ctx context.Context, project, branch string, site fstest.MapFS) (client.PagesDeployment, error) {
	files, err := client.ReadAssets(ctx, site, nil)
	if err != nil {
		return client.PagesDeployment{}, err
	}
	return p.client.DeployPages(ctx, project, &client.PagesUpload{Assets: files, Commit: client.PagesCommit{Branch: branch}})
}
