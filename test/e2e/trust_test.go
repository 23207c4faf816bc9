package e2e

import (
	"context"
	"crypto/x509"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inOwnStore runs a shell script as root of a mount namespace in which the system's trust store is a copy.
func inOwnStore(t *testing.T, script string, args ...string) (string, error) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/update-ca-certificates"); err != nil {
		t.Fatalf("%v: this test is of Debian's trust store (package ca-certificates)", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const own = `set -e
for dir in /etc/ssl/certs /usr/local/share/ca-certificates; do
  copy=$(mktemp -d "$SCRATCH/XXXXXX"); cp -a "$dir/." "$copy"; mount --bind "$copy" "$dir"
done
`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--map-root-user", "sh", "-c", own + script, "sh"}, args...)...)
	cmd.Env = append(cleanEnv(t), "SCRATCH="+t.TempDir(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestTrustDebian has the real update-ca-certificates take the root into the system's bundle, and out of it.
func TestTrustDebian(t *testing.T) {
	t.Parallel()
	p := start(t, "--tls-mode", "local", "--tls-port", "0")
	dir := project(t, map[string]string{"index.html": "trusted"})
	for _, args := range [][]string{{"pages", "create", "safe"}, {"pages", "deploy", ".", "--project", "safe"}} {
		if _, stderr, code := p.ours(t, dir, "", args...); code != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
	}
	bundles := t.TempDir()
	out, err := inOwnStore(t, `"$1" trust --data "$2"
cp /etc/ssl/certs/ca-certificates.crt "$3/with"
"$1" trust --data "$2" --uninstall
"$1" trust --data "$2" --uninstall
cp /etc/ssl/certs/ca-certificates.crt "$3/without"
`, binary(t), p.data, bundles)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantAll(t, out, "This machine trusts the local certificate authority", "does not trust the local certificate authority any more")
	for name, trusted := range map[string]bool{"with": true, "without": false} {
		pem, err := os.ReadFile(filepath.Join(bundles, name))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("the bundle has no roots: %d bytes", len(pem))
		}
		a, err := p.secureGet(t, roots, "HTTP/2.0", "https://"+p.pagesHost("", "safe")+"/")
		if trusted != (err == nil) || trusted && a.Body != "trusted" {
			t.Errorf("by the bundle %s: %v, %q", name, err, a.Body)
		}
	}
	if own, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err != nil || strings.Contains(string(own), string(rootOf(t, p))) {
		t.Errorf("the store of this machine was changed: %v", err)
	}
}

func rootOf(t *testing.T, p *platform) []byte {
	t.Helper()
	root, stderr, code := p.cli(t, "trust", "--print")
	if code != 0 {
		t.Fatal(stderr)
	}
	return []byte(strings.TrimSpace(root))
}

// TestTrustBrowser opens a site over HTTPS in Chromium, which trusts the platform because its database was told.
func TestTrustBrowser(t *testing.T) {
	t.Parallel()
	p := start(t, "--tls-mode", "local", "--tls-port", "0")
	dir := project(t, map[string]string{"index.html": "<h1>trusted</h1>"})
	for _, args := range [][]string{{"pages", "create", "safe"}, {"pages", "deploy", ".", "--project", "safe"}} {
		if _, stderr, code := p.ours(t, dir, "", args...); code != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
	}
	secure, err := url.Parse(p.TLSURL)
	if err != nil {
		t.Fatal(err)
	}
	site := "https://" + p.pagesHost("", "safe") + ":" + secure.Port() + "/"
	b := openBrowser(t)
	if why := b.tryOpen(site); !strings.Contains(why, "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("without trust: %q", why)
	}
	b = openBrowser(t, func(home string) {
		for range 2 { // the second time it is there
			if out, stderr, code := p.cli(t, "trust", "--nss="+filepath.Join(home, ".pki", "nssdb")); code != 0 || !strings.Contains(out, "trusts the local certificate authority") {
				t.Fatalf("trust --nss: %d %s%s", code, out, stderr)
			}
		}
	})
	b.open(site)
	b.wait(`document.querySelector("h1")?.textContent + " " + isSecureContext + " " + location.protocol`, "trusted true https:")
	b = openBrowser(t, func(home string) {
		nss := "--nss=" + filepath.Join(home, ".pki", "nssdb")
		for _, args := range [][]string{{"trust", nss}, {"trust", nss, "--uninstall"}, {"trust", nss, "--uninstall"}} {
			if _, stderr, code := p.cli(t, args...); code != 0 {
				t.Fatalf("%v: %s", args, stderr)
			}
		}
	})
	if why := b.tryOpen(site); !strings.Contains(why, "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("after it was taken away: %q", why)
	}
}
