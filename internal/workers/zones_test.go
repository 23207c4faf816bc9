package workers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers"
)

// at returns the worker that answers a URL, or "" for none.
func (h *harness) at(url string) string {
	h.t.Helper()
	return h.from(url, false)
}

func (h *harness) from(url string, inside bool) string {
	h.t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	i := strings.IndexByte(rest, '/')
	r, err := h.Lookup(h.t.Context(), rest[:i])
	if err == nil {
		r, err = r.ByURL(h.t.Context(), workers.URL{Scheme: scheme, Host: rest[:i], Target: rest[i:], Inside: inside})
	}
	switch {
	case errors.Is(err, workers.ErrNoRoute), errors.Is(err, workers.ErrNoPath):
		return ""
	case err != nil:
		h.t.Fatal(err)
	}
	return r.Script
}

func (h *harness) zone(name string) workers.Zone {
	h.t.Helper()
	z, err := h.AddZone(h.t.Context(), account, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return z
}

func (h *harness) wantAt(want map[string]string) {
	h.t.Helper()
	for url, script := range want {
		if got := h.at(url); got != script {
			h.t.Errorf("%s: %q answers, want %q", url, got, script)
		}
	}
}

func routes(patterns ...string) (reqs []workers.RouteRequest) {
	for _, p := range patterns {
		reqs = append(reqs, workers.RouteRequest{Pattern: p})
	}
	return reqs
}

func TestZoneRoutes(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.put("site", "export default 1")
	h.put("api", "export default 2")
	z := h.zone("Example.Test.")
	h.wantAt(map[string]string{"http://example.test/": "", "http://other.test/": ""})
	if _, err := h.PutScriptRoutes(t.Context(), account, "site", routes("example.test/*", "*.example.test/*")); err != nil {
		t.Fatal(err)
	}
	got, err := h.PutScriptRoutes(t.Context(), account, "api", []workers.RouteRequest{{Pattern: "example.test/api/*", Zone: workers.ZoneRef{Name: "example.test"}}})
	if err != nil || len(got) != 1 || got[0].Script != "api" || got[0].ZoneID != z.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	off, err := h.AddZoneRoute(t.Context(), account, z.ID, "example.test/api/internal/*", "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"http://example.test/": "site", "https://example.test/x?y": "site", "http://www.example.test/": "site",
		"http://example.test/api/v1": "api", "http://example.test/api/internal/x": "",
		"http://site.acme.workers.selvage.test/": "site",
	}
	h.wantAt(want)

	// A new version is what the route leads to at once.
	v := h.put("api", "export default 3").Version
	if r, err := h.route("example.test").ByURL(t.Context(), workers.URL{Scheme: "http", Host: "example.test", Target: "/api/"}); err != nil || r.Version != v.ID {
		t.Errorf("after a deploy: %+v, %v; want %s", r, err, v.ID)
	}
	// A worker without a hostname of the platform's still has its routes.
	if _, err := h.SetSubdomain(t.Context(), account, "api", false, nil); err != nil {
		t.Fatal(err)
	}
	h.wantAt(want)
	if h.at("http://api.acme.workers.selvage.test/") != "" {
		t.Error("workers_dev is off and the hostname answers")
	}

	h.end() // and everything is on disk
	h = open(t, dir, nil)
	defer h.end()
	h.wantAt(want)
	if err := h.DeleteZoneRoute(t.Context(), account, z.ID, off.ID); err != nil {
		t.Fatal(err)
	}
	want["http://example.test/api/internal/x"] = "api"
	h.wantAt(want)
	// PUT replaces.
	if _, err := h.PutScriptRoutes(t.Context(), account, "site", routes("example.test/only/*")); err != nil {
		t.Fatal(err)
	}
	h.wantAt(map[string]string{"http://example.test/": "", "http://example.test/only/x": "site", "http://www.example.test/": "", "http://example.test/api/": "api"})
	// A worker takes its routes with it.
	if err := h.DeleteScript(t.Context(), account, "api", false); err != nil {
		t.Fatal(err)
	}
	if h.at("http://example.test/api/") != "" {
		t.Error("the route of a deleted worker answers")
	}
	if err := h.DeleteZone(t.Context(), account, z.ID); err != nil {
		t.Fatal(err)
	}
	if h.OwnsHost("example.test") || h.at("http://example.test/only/x") != "" {
		t.Error("the zone is not gone")
	}
	if all, err := h.ScriptRoutes(t.Context(), account, "site"); err != nil || len(all) != 0 {
		t.Errorf("routes left: %+v, %v", all, err)
	}
}

func TestRouteRefused(t *testing.T) {
	h := newHarness(t)
	h.put("a", "export default 1")
	h.put("b", "export default 2")
	z := h.zone("example.test")
	h.zone("inner.example.test")
	if _, err := h.PutScriptRoutes(t.Context(), account, "a", routes("example.test/*")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reqs []workers.RouteRequest
		code int
	}{
		"no zone":          {routes("other.test/*"), workers.CodeZoneNotFound},
		"unknown zone":     {[]workers.RouteRequest{{Pattern: "example.test/x", Zone: workers.ZoneRef{Name: "nosuch.test"}}}, workers.CodeZoneNotFound},
		"unknown zone id":  {[]workers.RouteRequest{{Pattern: "example.test/x", Zone: workers.ZoneRef{ID: "x"}}}, workers.CodeZoneNotFound},
		"outside its zone": {[]workers.RouteRequest{{Pattern: "example.org/x", Zone: workers.ZoneRef{ID: z.ID}}}, workers.CodeInvalidRoute},
		"in an inner zone": {[]workers.RouteRequest{{Pattern: "inner.example.test/x", Zone: workers.ZoneRef{ID: z.ID}}}, workers.CodeInvalidRoute},
		"infix wildcard":   {routes("example.test/*.jpg"), workers.CodeInvalidRoute},
		"query":            {routes("example.test/?a=b"), workers.CodeInvalidRoute},
		"empty":            {routes(""), workers.CodeInvalidRoute},
		"taken":            {routes("example.test/new", "example.test/*"), workers.CodeRouteTaken},
		"taken otherwise":  {routes("EXAMPLE.test/*"), workers.CodeRouteTaken},
		"twice":            {routes("example.test/x", "example.test/x"), workers.CodeRouteTaken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.PutScriptRoutes(t.Context(), account, "b", c.reqs)
			wantCode(t, err, c.code)
			if all, err := h.ScriptRoutes(t.Context(), account, "b"); err != nil || len(all) != 0 {
				t.Errorf("a refused request left %+v (%v)", all, err)
			}
		})
	}
	_, err := h.PutScriptRoutes(t.Context(), account, "nosuch", routes("example.test/x"))
	wantCode(t, err, workers.CodeNotFound)
	_, err = h.AddZoneRoute(t.Context(), account, z.ID, "example.test/x", "nosuch")
	wantCode(t, err, workers.CodeNotFound)
	_, err = h.SetZoneRoute(t.Context(), account, z.ID, "nosuch", "example.test/x", "b")
	wantCode(t, err, workers.CodeRouteNotFound)
	for _, name := range []string{"", "test", "*.test", "a..test", "-a.test", "workers." + domain, "acme.workers." + domain, "pages." + domain, "bücher.test", "a.test/x", strings.Repeat("a.", 200) + "test"} {
		_, err := h.AddZone(t.Context(), account, name)
		wantCode(t, err, workers.CodeInvalidZone)
	}
	_, err = h.AddZone(t.Context(), account, "EXAMPLE.test")
	wantCode(t, err, workers.CodeZoneExists)
}

// TestPlatformHostsAreNoZones holds that a zone above the platform's own domain
// does not take the hosts that workers have by their names.
func TestPlatformHostsAreNoZones(t *testing.T) {
	h := newHarness(t)
	h.put("a", "export default 1")
	h.put("b", "export default 2")
	h.zone(domain)
	if _, err := h.PutScriptRoutes(t.Context(), account, "b", routes("*"+domain+"/*")); err != nil {
		t.Fatal(err)
	}
	h.wantAt(map[string]string{
		"http://" + domain + "/": "b", "http://www." + domain + "/": "b", "http://" + h.host("a") + "/": "a",
		"http://" + h.host("nosuch") + "/": "", "http://x." + h.host("a") + "/": "", "http://x.pages." + domain + "/": "", "http://workers." + domain + "/": "",
	})
}

func TestCustomDomains(t *testing.T) {
	h := newHarness(t)
	h.put("shop", "export default 1")
	h.put("logger", "export default 2")
	h.zone("example.test")
	no := false
	reqs := func(hosts ...string) (out []workers.DomainRequest) {
		for _, host := range hosts {
			out = append(out, workers.DomainRequest{Hostname: host})
		}
		return out
	}
	replace := workers.DomainOptions{Replace: true}
	changes, err := h.DomainChanges(t.Context(), account, "shop", reqs("shop.example.test"), true)
	if err != nil || len(changes.Added) != 1 || len(changes.Updated)+len(changes.Removed) != 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if h.at("http://shop.example.test/") != "" {
		t.Error("to ask what would change changed it")
	}
	all, err := h.PutDomains(t.Context(), account, "shop", reqs("Shop.example.test", "two.example.test"), replace)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	h.wantAt(map[string]string{"http://shop.example.test/any?path": "shop", "https://two.example.test/": "shop", "http://three.example.test/": ""})

	// A route comes before the domain, but for the worker behind the route.
	if _, err := h.PutScriptRoutes(t.Context(), account, "logger", routes("shop.example.test/*")); err != nil {
		t.Fatal(err)
	}
	if h.at("http://shop.example.test/") != "logger" || h.from("http://shop.example.test/", true) != "shop" {
		t.Error("a route does not stand before a custom domain")
	}

	_, err = h.PutDomains(t.Context(), account, "logger", reqs("two.example.test"), replace)
	wantCode(t, err, workers.CodeDomainTaken)
	changes, err = h.DomainChanges(t.Context(), account, "logger", reqs("two.example.test"), true)
	if err != nil || len(changes.Updated) != 1 || !changes.Updated[0].Modified || changes.Updated[0].Script != "shop" {
		t.Errorf("%+v, %v", changes, err)
	}
	taken, err := h.PutDomains(t.Context(), account, "logger", reqs("two.example.test"), workers.DomainOptions{Replace: true, Override: true})
	if err != nil || len(taken) != 1 || taken[0].ID != changes.Updated[0].ID {
		t.Fatalf("%+v, %v; want the same id", taken, err)
	}
	h.wantAt(map[string]string{"http://two.example.test/": "logger"})

	changes, err = h.DomainChanges(t.Context(), account, "shop", nil, true)
	if err != nil || len(changes.Removed) != 1 || changes.Removed[0].Hostname != "shop.example.test" {
		t.Errorf("%+v, %v", changes, err)
	}
	if _, err := h.PutDomains(t.Context(), account, "logger", []workers.DomainRequest{{Hostname: "two.example.test", Enabled: &no}}, replace); err != nil {
		t.Fatal(err)
	}
	h.wantAt(map[string]string{"http://two.example.test/": ""})
	if err := h.DeleteDomain(t.Context(), account, taken[0].ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Domain(t.Context(), account, taken[0].ID)
	wantCode(t, err, workers.CodeDomainNotFound)

	yes := true
	for name, r := range map[string]workers.DomainRequest{
		"wildcard": {Hostname: "*.example.test"}, "path": {Hostname: "a.example.test/x"}, "none": {}, "a port": {Hostname: "a.example.test:80"},
	} {
		_, err := h.PutDomains(t.Context(), account, "shop", []workers.DomainRequest{r}, replace)
		if e := wantCode(t, err, workers.CodeInvalidRoute); e.Status != 400 {
			t.Errorf("%s: status %d", name, e.Status)
		}
	}
	_, err = h.PutDomains(t.Context(), account, "shop", []workers.DomainRequest{{Hostname: "a.example.test", Previews: &yes}}, replace)
	wantCode(t, err, workers.CodeNotOffered)
	_, err = h.PutDomains(t.Context(), account, "shop", reqs("other.test"), replace)
	wantCode(t, err, workers.CodeZoneNotFound)
	if all, err := h.Domains(t.Context(), account, workers.DomainFilter{Script: "shop"}); err != nil || len(all) != 1 {
		t.Errorf("refused requests changed %+v, %v", all, err)
	}
}

// TestGradualOnZone holds that the shares count on a zone's hosts too.
func TestGradualOnZone(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	h.zone("example.test")
	if _, err := h.PutScriptRoutes(t.Context(), account, "app", routes("example.test/*")); err != nil {
		t.Fatal(err)
	}
	h.deploy("app", shares(ids[0], 50.0, ids[1], 50.0))
	u := workers.URL{Scheme: "http", Host: "example.test", Target: "/"}
	var seen []string
	for i := range 64 {
		r, err := h.route("example.test").ByURL(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, r.Pick(fmt.Sprint(i), "").Version)
	}
	if !slices.Contains(seen, ids[0]) || !slices.Contains(seen, ids[1]) {
		t.Error("one version alone answers on the zone")
	}
	host := h.host("app")
	if n := testing.AllocsPerRun(100, func() {
		r, _ := h.Lookup(t.Context(), "example.test")
		r, _ = r.ByURL(t.Context(), u)
		r.Pick("", "")
		_, _ = h.Lookup(t.Context(), host)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
