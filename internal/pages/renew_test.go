package pages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestNobodyReadsAfterADeploy: what the visitors of a new deployment need was read before they got there, for custom
// domains and branches too. It is taken from the disk here, and only then do they come.
func TestNobodyReadsAfterADeploy(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	for _, name := range []string{"www.example.test", "*.preview.example.test"} {
		if _, err := f.AddDomain(t.Context(), account, "web", name); err != nil {
			t.Fatal(err)
		}
	}
	site := func(n int) map[string]string {
		return map[string]string{"/index.html": fmt.Sprint(n), fmt.Sprintf("/app-%d.js", n): fmt.Sprint("app ", n)}
	}
	f.deploy("web", "main", site(0))
	first := f.deploy("web", "main", site(1))
	hosts := []string{host("", "web"), "www.example.test", host("main", "web"), "main.preview.example.test"}
	for _, h := range hosts {
		if _, got := f.get(h, "/"); got != "1" {
			t.Fatalf("%s answers %q", h, got)
		}
	}
	second := f.deploy("web", "main", site(2))
	hide := func() (back func()) {
		t.Helper()
		for range 2 { // what nothing holds is found again until then
			runtime.GC()
		}
		blobs := filepath.Join(f.store.Dir, "blobs")
		var hidden []string
		rows, err := f.store.DB.Read().Query(`SELECT DISTINCT manifest FROM pages_deployments`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			hidden = append(hidden, filepath.Join(blobs, id[:2], id))
		}
		if err := rows.Err(); err != nil || len(hidden) == 0 {
			t.Fatal(err)
		}
		for _, name := range hidden {
			if err := os.Rename(name, name+".hidden"); err != nil {
				t.Fatal(err)
			}
		}
		return func() {
			for _, name := range hidden {
				if err := os.Rename(name+".hidden", name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	back := hide()
	for _, h := range append(hosts, host(second.Short, "web")) {
		if _, got := f.get(h, "/"); got != "2" {
			t.Errorf("%s answers %q", h, got)
		}
	}
	for _, h := range hosts[:2] { // a page that is still open
		if _, got := f.get(h, "/app-1.js"); got != "app 1" {
			t.Errorf("%s answers %q for a file of the deployment before", h, got)
		}
	}
	back()
	if _, err := f.Rollback(t.Context(), account, "web", first.ID); err != nil {
		t.Fatal(err)
	}
	defer hide()()
	for _, h := range hosts[:2] {
		if _, got := f.get(h, "/"); got != "1" {
			t.Errorf("after the rollback %s answers %q", h, got)
		}
	}
}

// TestLookupsDuringChanges has visitors of a custom domain, a branch and production ask while deployments, rollbacks and
// changes of the domain come from several sides. Once a change has returned, nobody sees what was before it.
func TestLookupsDuringChanges(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	f.project("other")
	var wg sync.WaitGroup
	wg.Go(func() { // changes of another project make routes that were read of no use
		for n := range 60 {
			f.deploy("other", "main", map[string]string{"/index.html": fmt.Sprint(n)})
		}
	})
	for n := range 60 {
		d := f.deploy("web", "main", map[string]string{"/index.html": fmt.Sprint(n)})
		if n == 10 {
			if _, err := f.AddDomain(t.Context(), account, "web", "www.example.test"); err != nil {
				t.Fatal(err)
			}
		}
		hosts := []string{host("", "web"), host("main", "web"), host(d.Short, "web")}
		if n >= 10 {
			hosts = append(hosts, "www.example.test")
		}
		var visitors sync.WaitGroup
		for _, h := range hosts {
			for range 3 {
				visitors.Go(func() {
					if _, got := f.get(h, "/"); got != fmt.Sprint(n) {
						t.Errorf("after deployment %d %s answers %q", n, h, got)
					}
				})
			}
		}
		visitors.Wait()
	}
	wg.Wait()
}
