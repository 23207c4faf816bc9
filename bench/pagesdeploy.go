package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lukechampine.com/blake3"
)

// The site of the suite pages-deploy: files of 8 KiB that nothing compresses, of which some change each time.
const (
	deployFiles   = 20_000 // its page is one of them
	deployChanged = 1_000
	deploySize    = 8 << 10
)

// pagesDeploying deploys 1,000 changed files of 20,000, against what nobody can do without: reading and hashing the
// 20,000 in the way that wrangler names contents, in one thread, and copying the 1,000 to another folder, each synced
// as a platform has to that says a file is stored.
func pagesDeploying(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	dir, err := os.MkdirTemp(b.dir, "large-")
	if err != nil {
		return err
	}
	generation := 0
	change := func(n int) ([]string, error) {
		generation++
		return changeFiles(dir, n, generation)
	}
	if _, err := change(deployFiles - 1); err != nil {
		return err
	}
	if err := b.wrangler(ctx, p, b.dir, "pages", "project", "create", "large", "--production-branch", "main"); err != nil {
		return err
	}
	const suite = "pages-deploy"
	began := time.Now()
	if err := b.selvagePages(ctx, p, dir); err != nil {
		return err
	}
	b.report.add(suite, "selvage pages deploy of 20,000 new files of 8 KiB", time.Since(began).Seconds(), "s")
	var ours, hashing, synced, plain, ratios, firsts []float64
	for range b.rounds {
		names, err := change(deployChanged)
		if err != nil {
			return err
		}
		h, s, c, err := b.leastWork(dir, names)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := b.selvagePages(ctx, p, dir); err != nil {
			return err
		}
		took := time.Since(began)
		first, err := b.firstPage(ctx, p, generation)
		if err != nil {
			return err
		}
		ours, hashing, synced, plain = append(ours, ms(took)), append(hashing, ms(h)), append(synced, ms(s)), append(plain, ms(c))
		ratios, firsts = append(ratios, took.Seconds()/(h+s).Seconds()), append(firsts, ms(first))
	}
	if _, err := change(deployChanged); err != nil {
		return err
	}
	began = time.Now()
	if err := b.wrangler(ctx, p, b.dir, "pages", "deploy", dir, "--project-name", "large", "--branch", "main", "--commit-dirty"); err != nil {
		return err
	}
	wrangler := time.Since(began)
	first, err := b.firstPage(ctx, p, generation)
	if err != nil {
		return err
	}
	b.report.add(suite, "reading and hashing 20,000 files of 8 KiB, one thread", median(hashing), "ms")
	b.report.add(suite, "copying 1,000 of them, each synced", median(synced), "ms")
	b.report.add(suite, "copying 1,000 of them, nothing synced", median(plain), "ms")
	b.report.add(suite, "selvage pages deploy, whole command, 1,000 of 20,000 changed", median(ours), "ms")
	b.report.want(suite, "selvage pages deploy / (hashing + synced copy)", median(ratios), "×", "<=", 1.5)
	b.report.want(suite, "wrangler pages deploy of the same, whole command", wrangler.Seconds(), "s", "<=", 60)
	b.report.want(suite, "first page of a new deployment of 20,000 files", median(append(firsts, ms(first))), "ms", "<=", 100)
	return b.firstPageCold(ctx, p, generation)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// changeFiles writes the first n files of a site and its page anew and returns their names.
func changeFiles(dir string, n, generation int) ([]string, error) {
	names := make([]string, n)
	body := make([]byte, deploySize)
	for i := range names {
		names[i] = fmt.Sprintf("%03d/%05d.bin", i%100, i)
		if _, err := rand.Read(body); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(dir, names[i][:3]), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, names[i]), body, 0o600); err != nil {
			return nil, err
		}
	}
	return names, os.WriteFile(filepath.Join(dir, "index.html"), fmt.Appendf(nil, "generation %d", generation), 0o600)
}

// leastWork hashes all files and copies those that changed, synced and not.
func (b *bench) leastWork(dir string, names []string) (hashing, synced, plain time.Duration, err error) {
	began := time.Now()
	sums := 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		sum := blake3.Sum256(append(base64.StdEncoding.AppendEncode(nil, content), strings.TrimPrefix(filepath.Ext(name), ".")...))
		sums += int(sum[0])
		return nil
	})
	if err != nil {
		return 0, 0, 0, err
	}
	if sums == 0 {
		return 0, 0, 0, errors.New("nothing was hashed")
	}
	hashing = time.Since(began)
	if plain, err = b.copyFiles(dir, names, func(*os.File) error { return nil }); err != nil {
		return 0, 0, 0, err
	}
	synced, err = b.copyFiles(dir, names, (*os.File).Sync)
	return hashing, synced, plain, err
}

// copyFiles copies files to a new folder; finish is called with each, and with the folder.
func (b *bench) copyFiles(dir string, names []string, finish func(*os.File) error) (time.Duration, error) {
	to, err := os.MkdirTemp(b.dir, "copy-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(to) }()
	began := time.Now()
	for i, name := range names {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(to, fmt.Sprint(i)), finish); err != nil {
			return 0, err
		}
	}
	folder, err := os.Open(to)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(finish(folder), folder.Close()); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

func copyFile(from, to string, finish func(*os.File) error) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = finish(out)
	}
	return errors.Join(err, out.Close())
}

func (b *bench) selvagePages(ctx context.Context, p *platform, dir string) error {
	cmd := exec.CommandContext(ctx, b.tools["selvage"], "pages", "deploy", dir, "--project", "large", "--branch", "main", "--json", "--data", p.data)
	cmd.Env = []string{"HOME=" + b.dir} // no PATH: there is no Node.js to find
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("selvage pages deploy: %w: %s", err, out)
	}
	return nil
}

// firstPage asks for the page of the newest deployment, which nobody has asked for.
func (b *bench) firstPage(ctx context.Context, p *platform, generation int) (time.Duration, error) {
	return page(ctx, p.EdgeURL+"/", "large."+p.PagesDomain, fmt.Sprintf("generation %d", generation))
}

// firstPageCold asks for it when nothing of the site is in memory.
func (b *bench) firstPageCold(ctx context.Context, p *platform, generation int) error {
	p.stop()
	again, err := b.platform(p.data)
	if err != nil {
		return err
	}
	defer again.stop()
	first, err := b.firstPage(ctx, again, generation)
	if err != nil {
		return err
	}
	b.report.add("pages-deploy", "first page of a site of 20,000 files after a restart", ms(first), "ms")
	return nil
}
