package pages_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/store"
)

// TestKilledProcessKeepsDeployments kills a process that deploys, at random times.
// What it acknowledged serves, whole, and production is never anything else than
// one of the deployments.
func TestKilledProcessKeepsDeployments(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, nil)
	first.project("web")
	if err := first.store.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(map[string]string) // short id: content
	last := ""
	for round := range 5 {
		last = crashRound(t, dir, round, acknowledged, last)
		f := open(t, dir, nil)
		for id, want := range acknowledged {
			for _, p := range []string{"/", "/same.txt"} {
				if p != "/" {
					want = "same"
				}
				if status, got := f.get(host(id, "web"), p); status != 200 || got != want {
					t.Fatalf("round %d: %s%s = %d %q, want %q", round, id, p, status, got, want)
				}
			}
		}
		status, body := f.get(host("", "web"), "/")
		var gotRound, gotN, wantRound, wantN int
		_, err := fmt.Sscanf(body, "%d-%d", &gotRound, &gotN)
		_, _ = fmt.Sscanf(last, "%d-%d", &wantRound, &wantN)
		if status != 200 || err != nil || gotRound < wantRound || gotRound == wantRound && gotN < wantN {
			t.Fatalf("round %d: production answers %d %q after %q was acknowledged", round, status, body, last)
		}
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 5 {
		t.Errorf("only %d deployments were made", len(acknowledged))
	}
}

func crashRound(t *testing.T, dir string, round int, acknowledged map[string]string, last string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "PAGES_TEST_CRASH="+dir, fmt.Sprint("PAGES_TEST_ROUND=", round))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	life := time.Duration(rand.IntN(300)) * time.Millisecond
	for lines := bufio.NewScanner(out); lines.Scan(); {
		once.Do(func() { time.AfterFunc(life, func() { _ = child.Process.Kill() }) })
		var id, content string
		if _, err := fmt.Sscanf(lines.Text(), "%s %s .", &id, &content); err != nil {
			break // the line that the kill cut off
		}
		acknowledged[id], last = content, content
	}
	_ = child.Wait()
	return last
}

// crashChild deploys until it is killed.
func crashChild(dir string) {
	st, err := store.Open(dir)
	if err != nil {
		panic(err)
	}
	f := &fixture{store: st, functions: &functions{}}
	f.Service, err = pages.New(pages.Options{
		Store: st, Domain: domain, Functions: f.functions, Files: files{st.Blobs}, IssueTicket: issue, VerifyTicket: f.verify,
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for n := 0; ; n++ {
		content := fmt.Sprintf("%s-%d", os.Getenv("PAGES_TEST_ROUND"), n)
		site := map[string]string{"/index.html": content, "/same.txt": "same"}
		if err := f.upload(ctx, "web", site); err != nil {
			panic(err)
		}
		d, err := f.Deploy(ctx, account, "web", &pages.DeployRequest{Manifest: manifest(site)})
		if err != nil {
			panic(err)
		}
		fmt.Println(d.Short, content, ".")
	}
}
