package workers_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

// shares makes a deployment of versions and percentages in turn.
func shares(parts ...any) workers.DeployRequest {
	r := workers.DeployRequest{Strategy: workers.StrategyPercentage}
	for i := 0; i < len(parts); i += 2 {
		r.Versions = append(r.Versions, workers.DeploymentVersion{VersionID: parts[i].(string), Percentage: parts[i+1].(float64)})
	}
	return r
}

// versions makes a script with n versions, of which the first is deployed.
func (h *harness) versions(name string, n int) (ids []string) {
	h.t.Helper()
	ids = append(ids, h.put(name, "export default 0").Version.ID)
	for i := 1; i < n; i++ {
		time.Sleep(2 * time.Millisecond) // versions are ordered by the millisecond
		v, err := h.CreateVersion(h.t.Context(), account, name, h.esm(fmt.Sprintf("export default %d", i)))
		if err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, v.ID)
	}
	return ids
}

func (h *harness) deploy(name string, r workers.DeployRequest) workers.Deployment {
	h.t.Helper()
	d, err := h.Deploy(h.t.Context(), account, name, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *harness) route(host string) *workers.Route {
	h.t.Helper()
	r, err := h.Lookup(h.t.Context(), host)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// TestShares sends 10,000 requests through each deployment and holds every
// version's count to five standard deviations of the binomial distribution.
func TestShares(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 3)
	const n = 10_000
	for _, req := range []workers.DeployRequest{
		shares(ids[0], 90.0, ids[1], 10.0),
		shares(ids[1], 0.5, ids[0], 99.5),
		shares(ids[0], 33.33, ids[1], 33.33, ids[2], 33.34),
		shares(ids[0], 33.333, ids[1], 33.333, ids[2], 33.3335), // off by less than wrangler's tolerance
		shares(ids[0], 100.0, ids[1], 0.0),
		shares(ids[2], 100.0),
	} {
		h.deploy("app", req)
		random, keyed := make(map[string]int), make(map[string]int)
		for i := range n {
			random[h.route(h.host("app")).Pick("", "").Version]++
			keyed[h.route(h.host("app")).Pick(fmt.Sprintf("visitor-%d", i), "").Version]++
		}
		for _, counts := range []map[string]int{random, keyed} {
			total := 0
			for _, v := range req.Versions {
				p := v.Percentage / 100
				got, want, bound := float64(counts[v.VersionID]), n*p, 5*math.Sqrt(n*p*(1-p))
				if math.Abs(got-want) > bound {
					t.Errorf("%v: %s answered %v of %d, want %v ± %.0f", req.Versions, v.VersionID, got, n, want, bound)
				}
				total += counts[v.VersionID]
			}
			if total != n {
				t.Errorf("%v: versions that are not deployed answered: %v", req.Versions, counts)
			}
		}
	}
}

// TestVersionKeySticks holds that a key stays with its version while the shares
// stay, and moves only to the version whose share grows.
func TestVersionKeySticks(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	const keys = 2000
	before := make([]string, keys)
	for step, share := range []float64{0, 1, 10, 50, 50, 99, 100} {
		// The order in which the versions are named must not matter.
		req := shares(ids[0], 100-share, ids[1], share)
		if step%2 == 1 {
			slices.Reverse(req.Versions)
		}
		h.deploy("app", req)
		for i := range before {
			key := fmt.Sprintf("k%d", i)
			got := h.route(h.host("app")).Pick(key, "").Version
			if again := h.route(h.host("app")).Pick(key, "").Version; again != got {
				t.Fatalf("key %s: %s, then %s", key, got, again)
			}
			if before[i] == ids[1] && got != ids[1] {
				t.Fatalf("at %v percent key %s went back to the old version", share, key)
			}
			before[i] = got
		}
	}
	if slices.Contains(before, ids[0]) {
		t.Error("a key is with a version that has no share")
	}
}

func TestVersionKeyDiffersByScript(t *testing.T) {
	h := newHarness(t)
	a, b := h.versions("a", 2), h.versions("b", 2)
	h.deploy("a", shares(a[0], 50.0, a[1], 50.0))
	h.deploy("b", shares(b[0], 50.0, b[1], 50.0))
	same := 0
	for i := range 1000 {
		key := fmt.Sprint(i)
		if (h.route(h.host("a")).Pick(key, "").Version == a[0]) == (h.route(h.host("b")).Pick(key, "").Version == b[0]) {
			same++
		}
	}
	if same < 400 || same > 600 {
		t.Errorf("%d of 1000 keys fall to the same side for two scripts: they are not independent", same)
	}
}

func TestVersionOverride(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 3)
	h.deploy("app", shares(ids[0], 100.0, ids[1], 0.0))
	r := h.route(h.host("app"))
	if !r.Gradual() || r.Version != ids[0] {
		t.Fatalf("route = %+v, want a gradual one with the primary version %s", r, ids[0])
	}
	for override, want := range map[string]string{
		ids[1]: ids[1], // with no share at all
		ids[0]: ids[0],
		ids[2]: ids[0], // not of this deployment
		"x":    ids[0],
		"":     ids[0],
	} {
		if got := r.Pick("key", override); got.Version != want || got.Gradual() || got.Preview {
			t.Errorf("override %q: %+v, want %s", override, got, want)
		}
	}
	in, err := r.Pick("", ids[1]).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in.Release()
	h.deploy("app", shares(ids[2], 100.0))
	if r := h.route(h.host("app")); r.Gradual() || r.Pick("k", ids[0]) != r {
		t.Error("an override reaches a version that is not deployed any more")
	}
}

// TestGradualProcesses holds that a version's process stays while a deployment
// names it, and goes when none does.
func TestGradualProcesses(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 3)
	running := func() (versions []string) {
		for _, p := range h.runtime.live() {
			versions = append(versions, p.version)
		}
		slices.Sort(versions)
		return slices.Compact(versions)
	}
	want := func(versions ...string) {
		t.Helper()
		slices.Sort(versions)
		eventually(t, fmt.Sprintf("processes of %v; of %v", versions, running()), func() bool { return slices.Equal(running(), versions) })
	}
	pids := func() map[string]int {
		m := make(map[string]int)
		for _, p := range h.runtime.live() {
			m[p.version] = p.pid
		}
		return m
	}
	h.deploy("app", shares(ids[0], 50.0, ids[1], 50.0))
	first := pids()
	h.deploy("app", shares(ids[0], 10.0, ids[1], 90.0))
	time.Sleep(200 * time.Millisecond) // longer than the delay of a retirement
	if now := pids(); now[ids[0]] != first[ids[0]] || now[ids[1]] != first[ids[1]] {
		t.Errorf("other shares replaced processes: %v, %v", first, now)
	}
	h.deploy("app", shares(ids[1], 50.0, ids[2], 50.0))
	eventually(t, "the dropped version's process to end", func() bool { return !slices.Contains(running(), ids[0]) })
	if now := pids(); now[ids[1]] != first[ids[1]] {
		t.Errorf("the version that stays got another process: %v, %v", first, now)
	}
	h.deploy("app", deployOf(ids[0])) // instant roll-back
	want(ids[0])
}

func TestGradualRefused(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	before := h.route(h.host("app"))
	many := workers.DeployRequest{}
	for range 11 {
		many.Versions = append(many.Versions, workers.DeploymentVersion{VersionID: ids[0], Percentage: 100.0 / 11})
	}
	for name, c := range map[string]struct {
		req  workers.DeployRequest
		code int
		says string
	}{
		"101":      {shares(ids[0], 50.0, ids[1], 51.0), workers.CodeInvalidDeployment, "add up to 101 percent"},
		"99":       {shares(ids[0], 50.0, ids[1], 49.0), workers.CodeInvalidDeployment, "add up to 99 percent"},
		"negative": {shares(ids[0], 101.0, ids[1], -1.0), workers.CodeInvalidDeployment, "from 0 to 100"},
		"NaN":      {shares(ids[0], math.NaN()), workers.CodeInvalidDeployment, "from 0 to 100"},
		"twice":    {shares(ids[0], 50.0, strings.ToUpper(ids[0]), 50.0), workers.CodeInvalidDeployment, "twice"},
		"unknown":  {shares(ids[0], 50.0, "11111111-2222-4333-8444-555555555555", 50.0), workers.CodeVersionNotFound, "has no version 11111111"},
		"no id":    {shares(ids[0], 50.0, "", 50.0), workers.CodeVersionNotFound, "has no version"},
		"too many": {many, workers.CodeInvalidDeployment, "at most 10"},
	} {
		_, err := h.Deploy(t.Context(), account, "app", c.req)
		if e := wantCode(t, err, c.code); !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %q does not say %q", name, e.Message, c.says)
		}
	}
	if h.route(h.host("app")) != before {
		t.Error("a refused deployment changed the route")
	}
}

// TestGradualFailsWhole holds that nothing switches when one of the versions
// does not start.
func TestGradualFailsWhole(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	eventually(t, "no processes", func() bool {
		for _, p := range h.runtime.live() {
			p.end(false)
		}
		return len(h.Instances()) == 0
	})
	h.runtime.fail(fmt.Errorf("no memory"))
	if _, err := h.Deploy(t.Context(), account, "app", shares(ids[0], 50.0, ids[1], 50.0)); err == nil {
		t.Fatal("a version that does not start was deployed")
	}
	h.runtime.fail(nil)
	if r := h.route(h.host("app")); r.Gradual() || r.Version != ids[0] {
		t.Errorf("route = %+v", r)
	}
}

// TestGradualSecrets holds that a secret is not set while the latest version
// shares the requests with another: it would take all of them.
func TestGradualSecrets(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	h.deploy("app", shares(ids[1], 50.0, ids[0], 50.0))
	_, err := h.PutSecret(t.Context(), account, "app", "A", "a", workers.Origin{})
	wantCode(t, err, workers.CodeVersionNotDeployed)
	text := "x"
	v, err := h.PatchLatestVersion(t.Context(), account, "app", workers.LatestPatch{Env: []workers.SecretPatch{{Name: "A", Text: &text}}})
	if err != nil {
		t.Fatal(err)
	}
	h.deploy("app", shares(ids[0], 90.0, v.ID, 10.0))
	h.deploy("app", shares(v.ID, 100.0))
	// Back to a version without the secret, in whatever share.
	_, err = h.Deploy(t.Context(), account, "app", shares(ids[0], 1.0, v.ID, 99.0))
	if e := wantCode(t, err, workers.CodeSecretsChanged); e.Message != "The following secrets have changed: A" {
		t.Errorf("message %q", e.Message)
	}
	req := shares(ids[0], 1.0, v.ID, 99.0)
	req.Force = true
	h.deploy("app", req)
	h.deploy("app", shares(ids[0], 2.0, v.ID, 98.0)) // it serves already: no step back
}

// TestGradualSurvivesRestart reads the shares back from disk.
func TestGradualSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	ids := h.versions("app", 2)
	h.deploy("app", shares(ids[0], 40.0, ids[1], 60.0))
	was := h.route(h.host("app")).Pick("me", "").Version
	h.end()
	h = open(t, dir, nil)
	defer h.end()
	if r := h.route(h.host("app")); r.Version != ids[1] || !r.Gradual() || r.Pick("me", "").Version != was {
		t.Errorf("after a restart: %+v, %s; was %s", r, r.Pick("me", "").Version, was)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	h := newHarness(t)
	ids := h.versions("app", 2)
	h.deploy("app", shares(ids[0], 40.0, ids[1], 60.0))
	host := h.host("app")
	if n := testing.AllocsPerRun(100, func() { h.route(host).Pick("key", ids[0]); h.route(host).Pick("", "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
