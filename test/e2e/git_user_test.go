package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGitUnprivileged builds on a platform that is not root, where the sandbox is made
// in a namespace of users of its own.
func TestGitUnprivileged(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	p := &platform{data: filepath.Join(top, "data"), args: []string{"--builds-timeout", "10s", "--builds-processes", "64"}}
	if os.Geteuid() == 0 {
		p.prefix = []string{"setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}
		if err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.Chown(top, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
	}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	c := p.site(t, "user", map[string]any{"build_command": "sh ./build.sh", "destination_dir": "dist"}, map[string]string{
		"build.sh": `set -e
mkdir dist
echo "user $(id -u), $(ls /proc | grep -c '^[0-9]') processes"
touch /usr/x 2>/dev/null && echo "wrote /usr"
(unshare -U true || chroot / true || mount -t tmpfs x /tmp) 2>/dev/null && echo "gained something"
node -e 'require("fs").writeFileSync("dist/index.html", "by node")'
`,
		"functions/f.ts": `export const onRequest = (): Response => new Response("by a function");`,
	})
	out := c.git(t, "push", "origin", "main")
	wantAll(t, out, "Deployed: ")
	for _, bad := range []string{"wrote", "gained"} {
		if strings.Contains(out, bad) {
			t.Errorf("the build %s:\n%s", bad, out)
		}
	}
	if a := p.get(t, p.pagesHost("", "user"), "/"); a.Body != "by node" {
		t.Errorf("the site is %d %q\n%s", a.Status, a.Body, out)
	}
	if a := p.get(t, p.pagesHost("", "user"), "/f"); a.Body != "by a function" {
		t.Errorf("its function is %d %q\n%s", a.Status, a.Body, out)
	}
	rewrite(t, c.dir, "build.sh", "bomb() { bomb | bomb & }; bomb; sleep 60\n")
	c.commit(t, "bomb")
	c.git(t, "push", "origin", "main")
	if b := c.last(t); b.Status != "failure" {
		t.Errorf("%+v", b)
	}
}
