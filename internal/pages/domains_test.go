package pages_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/pages"
)

// A custom domain has the production of its site, one with a "*" its branches and deployments, also after a restart.
func TestCustomDomains(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.project("web")
	f.project("other")
	f.deploy("web", "main", map[string]string{"/index.html": "production"})
	feature := f.deploy("web", "Feat/X", map[string]string{"/index.html": "feature"})
	f.deploy("other", "main", map[string]string{"/index.html": "other"})
	expect := func(f *fixture, host, want string) {
		t.Helper()
		if _, got := f.get(host, "/"); got != want {
			t.Errorf("%s answers %q, want %q", host, got, want)
		}
		if f.Owns(host) != (want != "") && !strings.Contains(host, ".preview.") {
			t.Errorf("%s is said to be a site's: %v", host, f.Owns(host))
		}
	}
	ctx := t.Context()
	expect(f, "www.example.test", "")
	for _, name := range []string{"WWW.example.test.", "*.preview.example.test"} {
		if _, err := f.AddDomain(ctx, account, "web", name); err != nil {
			t.Fatal(err)
		}
	}
	all := func(f *fixture) {
		expect(f, "www.example.test", "production")
		expect(f, "feat-x.preview.example.test", "feature")
		expect(f, feature.Short+".preview.example.test", "feature")
		expect(f, "nobody.preview.example.test", "")
		expect(f, "a.feat-x.preview.example.test", "")
		expect(f, "preview.example.test", "")
	}
	all(f)
	if r, err := f.Lookup(ctx, "www.example.test"); err != nil || r.Preview {
		t.Errorf("a custom domain of the production is a preview: %v", err)
	}
	if r, err := f.Lookup(ctx, "feat-x.preview.example.test"); err != nil || !r.Preview {
		t.Errorf("a branch on a custom domain is no preview: %v", err)
	}
	f.deploy("web", "main", map[string]string{"/index.html": "second"})
	expect(f, "www.example.test", "second")
	if got := f.CustomHosts(); !slices.Equal(got, []string{"www.example.test"}) {
		t.Errorf("hosts that want certificates: %v", got)
	}
	if _, err := f.AddDomain(ctx, account, "other", "www.example.test"); code(err) != pages.CodeDomainTaken {
		t.Errorf("a domain of another project: %v", err)
	}
	if err := f.DeleteDomain(ctx, account, "other", "www.example.test"); code(err) != pages.CodeDomainNotFound {
		t.Errorf("deletion of another project's domain: %v", err)
	}
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}

	f = open(t, dir, nil)
	expect(f, "www.example.test", "second")
	if err := f.DeleteDomain(ctx, account, "web", "www.example.test"); err != nil {
		t.Fatal(err)
	}
	expect(f, "www.example.test", "")
	if _, err := f.AddDomain(ctx, account, "other", "www.example.test"); err != nil {
		t.Fatal(err)
	}
	expect(f, "www.example.test", "other")
	if err := f.DeleteProject(ctx, account, "other"); err != nil {
		t.Fatal(err)
	}
	expect(f, "www.example.test", "")
	if got := f.HostsOf("web"); !slices.Equal(got, []string{"*.preview.example.test"}) {
		t.Errorf("domains of the project: %v", got)
	}
}

func TestRefusedDomains(t *testing.T) {
	f := open(t, t.TempDir(), func(o *pages.Options) {
		o.HostOwner = func(_ context.Context, host string) (string, error) {
			return map[string]string{"worker.example.test": "w"}[host], nil
		}
	})
	f.project("web")
	for _, c := range []struct {
		name string
		code int
	}{
		{"", pages.CodeInvalidDomain},
		{"localhost", pages.CodeInvalidDomain},
		{"a..example.test", pages.CodeInvalidDomain},
		{"-a.example.test", pages.CodeInvalidDomain},
		{"ü.example.test", pages.CodeInvalidDomain},
		{"a.*.example.test", pages.CodeInvalidDomain},
		{"*.test", pages.CodeInvalidDomain},
		{"example.test/path", pages.CodeInvalidDomain},
		{"example.test:80", pages.CodeInvalidDomain},
		{strings.Repeat("a.", 130) + "test", pages.CodeInvalidDomain},
		{domain, pages.CodeInvalidDomain},
		{"x.pages." + domain, pages.CodeInvalidDomain},
		{"worker.example.test", pages.CodeDomainTaken},
	} {
		if _, err := f.AddDomain(t.Context(), account, "web", c.name); code(err) != c.code {
			t.Errorf("%q: %v, want the code %d", c.name, err, c.code)
		}
	}
	if _, err := f.AddDomain(t.Context(), account, "nobody", "a.example.test"); code(err) != pages.CodeProjectNotFound {
		t.Errorf("a domain for no project: %v", err)
	}
	if got := f.CustomHosts(); len(got) != 0 {
		t.Errorf("refused domains are there: %v", got)
	}
}
