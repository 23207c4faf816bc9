package builds

import (
	"os"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// TestUnconfined pushes code and settings to a platform that cannot confine what reads them: nothing is deployed
// without them, and plain files are as ever.
func TestUnconfined(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, file := range []string{"functions/a.js", "_worker.js", "wrangler.toml", "wrangler.jsonc", ".wrangler/deploy/config.json"} {
		project := string(rune('p' + i))
		pushed := b.push(project, "main:"+file)[0]
		b.gate <- struct{}{}
		b.until("it ends", func() bool { s := b.status(project, pushed.ID).Status; return s != Queued && s != Running })
		if got := b.status(project, pushed.ID); got.Status != Failed || !strings.Contains(got.Reason, "this machine cannot confine a build") {
			t.Errorf("%s: %+v", file, got)
		}
	}
	pushed := b.push("plain", "main:lib/functions.js")[0]
	b.gate <- struct{}{}
	b.until("it ends", func() bool { return b.status("plain", pushed.ID).Status == Succeeded })
}

// TestRead reads what was packed, as bytes that nobody vouches for.
func TestRead(t *testing.T) {
	t.Parallel()
	w := &workspace{dir: t.TempDir()}
	p := &packing{s: &Service{o: Options{MaxCode: 1 << 10}}, w: w}
	if err := fsx.MkdirAll(w.packed(), 0o755); err != nil {
		t.Fatal(err)
	}
	file := w.packed() + "/site.json"
	for _, c := range []struct{ text, want string }{
		{`{"output":"web/out"}`, ""},
		{`{"output":"../out"}`, "no local path"},
		{`{"output":"/etc"}`, "no local path"},
		{`{"code":true}`, "without modules"},
		{`{"code":true,"modules":[{"name":"m","kind":"native"}]}`, "unknown kind"},
		{`[]`, "could not be read"},
		{`{"routes":"` + strings.Repeat("x", 5<<20) + `"}`, "larger than 1024 bytes"},
	} {
		if err := fsx.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := p.read()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", file); err != nil {
		t.Fatal(err)
	}
	if _, err := p.read(); err == nil {
		t.Error("a link was followed")
	}
}
