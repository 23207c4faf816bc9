package workers_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// model is the slow, obvious version of what the service keeps of one script.
type model struct {
	versions []string // by number, from 1
	secrets  map[string]map[string]string
	live     string // version; "" when nothing is deployed
	next     int    // makes each upload differ
}

func (m *model) latest() string { return m.versions[len(m.versions)-1] }

func (m *model) add(id string, secrets map[string]string) {
	m.versions = append(m.versions, id)
	c := make(map[string]string)
	maps.Copy(c, secrets)
	m.secrets[id] = c
}

func (m *model) sameSecrets(a, b string) bool {
	return fmt.Sprint(m.secrets[a]) == fmt.Sprint(m.secrets[b])
}

// TestModel runs random sequences of operations against the service and the
// model, restarts in between included, and compares after each.
func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	h := open(t, dir, nil)
	defer func() { h.end() }()
	m := &model{secrets: make(map[string]map[string]string)}
	for step := range 250 {
		op := rng.IntN(10)
		if len(m.versions) == 0 {
			op = 0
		}
		switch op {
		case 0, 1:
			modelPut(h, m)
		case 2:
			modelVersion(t, h, m)
		case 3, 4:
			req := deployOf(m.versions[rng.IntN(len(m.versions))])
			req.Force = rng.IntN(2) == 0
			modelDeploy(t, h, m, req)
		case 5:
			modelSecret(t, h, m, fmt.Sprintf("S%d", rng.IntN(2)), fmt.Sprint(rng.IntN(3)))
		case 6:
			h.runtime.fail(errors.New("no memory"))
			if _, err := h.PutScript(t.Context(), account, "w", h.esm(fmt.Sprint("fails ", step))); err == nil {
				t.Fatal("a version that did not start was accepted")
			}
			h.runtime.fail(nil)
		case 7:
			for _, p := range h.runtime.live() {
				p.end(true)
			}
		case 8:
			h.end()
			h = open(t, dir, nil)
		case 9:
			if rng.IntN(4) == 0 {
				if err := h.DeleteScript(t.Context(), account, "w", false); err != nil {
					t.Fatal(err)
				}
				m = &model{secrets: make(map[string]map[string]string), next: m.next}
			}
		}
		if _, err := h.serve(h.host("w")); crashLoop(err) { // what TestCrash is about
			h.end()
			h = open(t, dir, nil)
		}
		checkModel(t, h, m)
	}
}

func crashLoop(err error) bool {
	var e *workers.Error
	return errors.As(err, &e) && e.Code == workers.CodeCrashed
}

func modelPut(h *harness, m *model) {
	m.next++
	d := h.put("w", fmt.Sprint("export default ", m.next))
	var secrets map[string]string
	if len(m.versions) > 0 {
		secrets = m.secrets[m.latest()] // keep_bindings
	}
	m.add(d.Version.ID, secrets)
	m.live = d.Version.ID
}

func modelVersion(t *testing.T, h *harness, m *model) {
	t.Helper()
	m.next++
	v, err := h.CreateVersion(t.Context(), account, "w", h.esm(fmt.Sprint("export default ", m.next)))
	if err != nil {
		t.Fatal(err)
	}
	m.add(v.ID, m.secrets[m.latest()])
}

func modelDeploy(t *testing.T, h *harness, m *model, req workers.DeployRequest) {
	t.Helper()
	to := req.Versions[0].VersionID
	older := false
	for _, id := range m.versions {
		if id == m.live {
			break
		}
		older = older || id == to
	}
	_, err := h.Deploy(t.Context(), account, "w", req)
	if older && !req.Force && !m.sameSecrets(to, m.live) {
		wantCode(t, err, workers.CodeSecretsChanged)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.live = to
}

func modelSecret(t *testing.T, h *harness, m *model, name, text string) {
	t.Helper()
	_, err := h.PutSecret(t.Context(), account, "w", name, text, workers.Origin{})
	if m.live != m.latest() {
		wantCode(t, err, workers.CodeVersionNotDeployed)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Script(t.Context(), account, "w")
	if err != nil {
		t.Fatal(err)
	}
	secrets := m.secrets[m.latest()]
	m.add(s.Latest.ID, secrets)
	m.secrets[s.Latest.ID][name] = text
	m.live = s.Latest.ID
}

func checkModel(t *testing.T, h *harness, m *model) {
	t.Helper()
	got, err := h.serve(h.host("w"))
	if m.live == "" {
		if !errors.Is(err, workers.ErrNoRoute) {
			t.Fatalf("nothing is deployed, but %q answers (%v)", got, err)
		}
		return
	}
	if err != nil || got != m.live {
		t.Fatalf("%q answers (%v), want %q", got, err, m.live)
	}
	versions, err := h.Versions(t.Context(), account, "w", 0, 0)
	if err != nil || len(versions) != len(m.versions) {
		t.Fatalf("%d versions (%v), want %d", len(versions), err, len(m.versions))
	}
	for i, v := range versions {
		n := len(m.versions) - i
		if v.ID != m.versions[n-1] || v.Number != int64(n) {
			t.Fatalf("version %d is %s, number %d; want %s", n, v.ID, v.Number, m.versions[n-1])
		}
	}
	secrets, err := h.Secrets(t.Context(), account, "w")
	if err != nil || len(secrets) != len(m.secrets[m.latest()]) {
		t.Fatalf("secrets = %v (%v), want %v", secrets, err, m.secrets[m.latest()])
	}
}
