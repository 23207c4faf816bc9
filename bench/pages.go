package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// pagesServing is what a site costs: its files against nginx, and how much of that its redirect rules take away.
func pagesServing(ctx context.Context, b *bench) error {
	p, err := b.platform("", "SELVAGE_LIMITS_DYNAMIC_REDIRECTS=10000")
	if err != nil {
		return err
	}
	defer p.stop()
	sites := []struct {
		name            string
		static, dynamic int
	}{{"plain", 0, 0}, {"ruled", 2000, 100}, {"raised", 2000, 8000}}
	root := ""
	for _, s := range sites {
		dir, err := os.MkdirTemp(b.dir, "pages-")
		if err != nil {
			return err
		}
		if err := writeSite(dir, s.static, s.dynamic); err != nil {
			return err
		}
		if root == "" {
			root = dir
		}
		if err := b.wrangler(ctx, p, dir, "pages", "project", "create", s.name, "--production-branch", "main"); err != nil {
			return err
		}
		if err := b.wrangler(ctx, p, dir, "pages", "deploy", dir, "--project-name", s.name, "--branch", "main", "--commit-dirty"); err != nil {
			return err
		}
	}
	ng, ngURL, err := b.nginx(nginxShipped, fmt.Sprintf(nginxFiles, root))
	if err != nil {
		return err
	}
	defer ng.stop()
	for _, name := range []string{"1k.bin", "10k.bin", "1m.bin"} {
		us := &contender{name: "selvage", url: p.EdgeURL + "/" + name, host: "plain." + p.PagesDomain}
		them := &contender{name: "nginx as Debian configures it", url: ngURL + name}
		if err := b.race(ctx, []*contender{us, them}); err != nil {
			return err
		}
		for _, c := range []*contender{us, them} {
			b.report.add("pages", name+", "+c.name+": requests", median(c.rates), "/s")
		}
		b.report.want("pages", name+": selvage / nginx as Debian configures it", ratio(us, them), "×", ">=", 0.9)
	}
	// A file's answer is kept once it is made; a path without a file goes through all rules each time.
	for _, path := range []string{"10k.bin", "section/page/that/is/not/there"} {
		var cs []*contender
		for _, s := range sites {
			cs = append(cs, &contender{name: s.name, url: p.EdgeURL + "/" + path, host: s.name + "." + p.PagesDomain})
		}
		if err := b.race(ctx, cs); err != nil {
			return err
		}
		b.report.want("pages", "/"+path+": with 2,100 redirect rules / with none", ratio(cs[1], cs[0]), "×", ">=", 0.95)
		b.report.want("pages", "/"+path+": with 10,000 redirect rules / with none", ratio(cs[2], cs[0]), "×", ">=", 0.9)
	}
	return nil
}

// writeSite makes a folder of three files and an index, with redirect rules.
func writeSite(dir string, static, dynamic int) error {
	rng := rand.New(rand.NewPCG(1, 2))
	files := map[string][]byte{"index.html": []byte("<!doctype html><title>site</title>")}
	for name, size := range map[string]int{"1k.bin": 1 << 10, "10k.bin": 10 << 10, "1m.bin": 1 << 20} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		files[name] = body
	}
	var rules strings.Builder
	for i := range static {
		fmt.Fprintf(&rules, "/old/page-%d /new/page-%d 301\n", i, i)
	}
	for i := range dynamic {
		fmt.Fprintf(&rules, "/section-%d/:slug/* /news-%d/:slug/:splat 302\n", i, i)
	}
	if rules.Len() > 0 {
		files["_redirects"] = []byte(rules.String())
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}
