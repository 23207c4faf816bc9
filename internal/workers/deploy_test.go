package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

func deployOf(id string) workers.DeployRequest {
	return workers.DeployRequest{Strategy: workers.StrategyPercentage, Versions: []workers.DeploymentVersion{{VersionID: id, Percentage: 100}}}
}

func TestDeployAndRollBack(t *testing.T) {
	h := newHarness(t)
	v1 := h.put("w1", "export default 1").Version
	v2, err := h.CreateVersion(t.Context(), account, "w1", h.esm("export default 2"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.serve(h.host("w1")); err != nil || got != v1.ID {
		t.Fatalf("before the deployment %s answers (%v), want %s", got, err, v1.ID)
	}
	d, err := h.Deploy(t.Context(), account, "w1", deployOf(v2.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.serve(h.host("w1")); err != nil || got != v2.ID {
		t.Fatalf("after the deployment %s answers (%v), want %s", got, err, v2.ID)
	}
	eventually(t, "the replaced process ends", func() bool {
		live := h.runtime.live()
		return len(live) == 1 && live[0].version == v2.ID
	})
	if _, err := h.Deploy(t.Context(), account, "w1", deployOf(v1.ID)); err != nil {
		t.Fatal(err)
	}
	if got, err := h.serve(h.host("w1")); err != nil || got != v1.ID {
		t.Fatalf("after the rollback %s answers (%v), want %s", got, err, v1.ID)
	}
	all, err := h.Deployments(t.Context(), account, "w1", 0)
	if err != nil || len(all) != 3 || all[1].ID != d.ID || all[0].Versions[0].VersionID != v1.ID {
		t.Errorf("deployments = %+v, %v", all, err)
	}
}

func TestDeployRefused(t *testing.T) {
	h := newHarness(t)
	v1 := h.put("w1", "export default 1", `{"name":"OLD","type":"secret_text","text":"x"}`).Version
	h.put("other", "export default 1")
	for _, c := range []struct {
		req  workers.DeployRequest
		code int
	}{
		{workers.DeployRequest{}, workers.CodeInvalidDeployment},
		{workers.DeployRequest{Strategy: "magic", Versions: deployOf(v1.ID).Versions}, workers.CodeInvalidDeployment},
		{workers.DeployRequest{Versions: []workers.DeploymentVersion{{VersionID: v1.ID, Percentage: 50}}}, workers.CodeInvalidDeployment},
		{workers.DeployRequest{Versions: []workers.DeploymentVersion{{VersionID: v1.ID, Percentage: 50}, {VersionID: strings.ReplaceAll(v1.ID, "-", ""), Percentage: 50}}}, workers.CodeInvalidDeployment},
		{deployOf("00000000-0000-0000-0000-000000000000"), workers.CodeVersionNotFound},
	} {
		_, err := h.Deploy(t.Context(), account, "w1", c.req)
		wantCode(t, err, c.code)
	}
	_, err := h.Deploy(t.Context(), account, "other", deployOf(v1.ID))
	wantCode(t, err, workers.CodeVersionNotFound)

	text := "y"
	if _, err := h.PatchSecrets(t.Context(), account, "w1", []workers.SecretPatch{{Name: "B", Text: &text}, {Name: "A", Text: &text}, {Name: "OLD"}}, workers.Origin{}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Deploy(t.Context(), account, "w1", deployOf(v1.ID))
	if e := wantCode(t, err, workers.CodeSecretsChanged); e.Message != "The following secrets have changed: A, B, OLD" {
		t.Errorf("message = %q", e.Message)
	}
	req := deployOf(v1.ID)
	req.Force = true
	if _, err := h.Deploy(t.Context(), account, "w1", req); err != nil {
		t.Fatal(err)
	}
	// The latest version is not the deployed one any more.
	_, err = h.PutSecret(t.Context(), account, "w1", "C", "c", workers.Origin{})
	wantCode(t, err, workers.CodeVersionNotDeployed)
}

func TestSecrets(t *testing.T) {
	h := newHarness(t)
	_, err := h.PutSecret(t.Context(), account, "w1", "A", "a", workers.Origin{})
	wantCode(t, err, 10007)
	first := h.put("w1", "export default 1", `{"name":"VAR","type":"plain_text","text":"v"}`).Version
	if _, err := h.PutSecret(t.Context(), account, "w1", "A", "a", workers.Origin{}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.serve(h.host("w1")); err != nil || got == first.ID {
		t.Errorf("the secret is not deployed: %s answers (%v)", got, err)
	}
	_, err = h.PutSecret(t.Context(), account, "w1", "VAR", "a", workers.Origin{})
	wantCode(t, err, workers.CodeInvalidBinding)
	live, _ := h.serve(h.host("w1"))
	v, err := h.PatchLatestVersion(t.Context(), account, "w1", workers.LatestPatch{Env: []workers.SecretPatch{{Name: "A"}}, Annotations: map[string]string{workers.AnnotationMessage: "m"}})
	if err != nil || v.ID == live || v.Annotations[workers.AnnotationMessage] != "m" {
		t.Fatalf("version = %+v, %v", v, err)
	}
	if got, _ := h.serve(h.host("w1")); got != live {
		t.Error("a patch of the latest version was deployed")
	}
	if _, err := h.Deploy(t.Context(), account, "w1", deployOf(v.ID)); err != nil {
		t.Fatal(err)
	}
	err = h.DeleteSecret(t.Context(), account, "w1", "A", workers.Origin{})
	wantCode(t, err, workers.CodeSecretNotFound)
	if all, err := h.Secrets(t.Context(), account, "w1"); err != nil || len(all) != 0 {
		t.Errorf("secrets = %v, %v", all, err)
	}
}

// TestDeploysUnderLoad holds that no request fails because of a deployment and
// that replaced processes end.
func TestDeploysUnderLoad(t *testing.T) {
	h := newHarness(t)
	h.put("w1", "export default 0")
	stop := make(chan struct{})
	var served atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				r, err := h.Lookup(ctx, h.host("w1"))
				if err == nil {
					var in *workers.Instance
					if in, err = r.Acquire(ctx); err == nil {
						if served.Add(1)%64 == 0 {
							time.Sleep(time.Millisecond) // some requests last
						}
						if in.Upstream() == nil {
							err = errors.New("no upstream")
						}
						in.Release()
					}
				}
				cancel()
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
			}
		})
	}
	for i := range 100 {
		if _, err := h.PutScript(t.Context(), account, "w1", h.esm(fmt.Sprintf("export default %d", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	eventually(t, "replaced processes end", func() bool { return len(h.runtime.live()) == 1 })
	t.Logf("%d requests during 100 deployments, %d starts", served.Load(), h.runtime.count())
}

// TestDrain holds that a request in flight keeps its process, and no longer
// than the drain bound.
func TestDrain(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) { o.DrainTimeout = 400 * time.Millisecond })
	defer h.end()
	h.put("w1", "export default 0")
	for _, releases := range []bool{true, false} {
		r, err := h.Lookup(t.Context(), h.host("w1"))
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.put("w1", fmt.Sprintf("export default %v", releases))
		time.Sleep(250 * time.Millisecond)
		draining := slices.ContainsFunc(h.Instances(), func(i workers.InstanceInfo) bool { return i.Version == r.Version && i.Draining && i.InFlight == 1 })
		if !draining {
			t.Errorf("the process of a request in flight does not drain: %+v", h.Instances())
		}
		if releases {
			in.Release()
		}
		eventually(t, "the replaced process ends", func() bool { return len(h.runtime.live()) == 1 })
		if !releases {
			in.Release()
		}
	}
}

func TestDelete(t *testing.T) {
	h := newHarness(t)
	h.put("w1", "export default 0")
	r, err := h.Lookup(t.Context(), h.host("w1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteScript(t.Context(), account, "w1", false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Lookup(t.Context(), h.host("w1")); !errors.Is(err, workers.ErrNoRoute) {
		t.Errorf("lookup after the deletion: %v", err)
	}
	if _, err := r.Acquire(t.Context()); !errors.Is(err, workers.ErrNoRoute) {
		t.Errorf("acquire after the deletion: %v", err)
	}
	eventually(t, "its process ends", func() bool { return len(h.runtime.live()) == 0 })
	wantCode(t, h.DeleteScript(t.Context(), account, "w1", false), 10007)
	if d := h.put("w1", "export default 0"); d.Version.Number != 1 {
		t.Errorf("a script of the same name starts with version %d", d.Version.Number)
	}
}

func TestEgressReplacesProcesses(t *testing.T) {
	h := newHarness(t)
	h.put("w1", "export default 0")
	rule := workers.EgressPolicy{Allow: []workers.EgressRule{{Prefix: mustPrefix("10.0.0.0/8"), FromPort: 80, ToPort: 81}}}
	if err := h.SetEgress(t.Context(), account, "w1", rule); err != nil {
		t.Fatal(err)
	}
	if _, err := h.serve(h.host("w1")); err != nil {
		t.Fatal(err)
	}
	if got := h.doors.last.Egress; !slices.Equal(got.Allow, rule.Allow) {
		t.Errorf("egress of the new process = %+v", got)
	}
	ten := mustPrefix("10.0.0.0/8")
	for _, bad := range []workers.EgressRule{
		{},
		{Prefix: ten, FromPort: 80},
		{Prefix: ten, ToPort: 80},
		{Prefix: ten, FromPort: 81, ToPort: 80},
		{Prefix: mustPrefix("::ffff:10.0.0.0/90")},
	} {
		err := h.SetEgress(t.Context(), account, "w1", workers.EgressPolicy{Allow: []workers.EgressRule{bad}})
		wantCode(t, err, workers.CodeInvalidRequest)
	}
}
