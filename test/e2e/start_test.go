package e2e

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/mattn/go-sqlite3"
)

// refused starts a platform that must not come up: exit code 1, nothing on
// stdout and one line on stderr that holds all the wanted texts.
func (p *platform) refused(t *testing.T, args []string, wants ...string) {
	t.Helper()
	stdout, stderr, code := p.cli(t, append([]string{"up", "--json"}, args...)...)
	oneLine(t, stdout, stderr, code, wants...)
}

func oneLine(t *testing.T, stdout, stderr string, code int, wants ...string) {
	t.Helper()
	line, rest, _ := strings.Cut(stderr, "\n")
	if code != 1 || stdout != "" || rest != "" || !strings.HasPrefix(line, "selvage: ") {
		t.Errorf("exit code %d, stdout %q, stderr %q: want 1, nothing and one line", code, stdout, stderr)
	}
	for _, want := range wants {
		if !strings.Contains(line, want) {
			t.Errorf("the line lacks %q: %s", want, line)
		}
	}
}

var anyPorts = []string{"--port", "0", "--api-port", "0"}

// tree has the hash of every file below dir, and its time of change.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := walk(dir, func(path string, d os.DirEntry) {
		info, err := d.Info()
		if err != nil || !d.Type().IsRegular() {
			return
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		sum := sha256.Sum256(b)
		files[strings.TrimPrefix(path, dir)] = hex.EncodeToString(sum[:8]) + " " + info.ModTime().String()
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was made (%v)", path, err)
	}
}

func TestReadyLine(t *testing.T) {
	t.Parallel()
	p := start(t)
	var keys map[string]any
	if err := json.Unmarshal(p.line, &keys); err != nil {
		t.Fatal(err)
	}
	want := []string{"account_id", "api_url", "domain", "edge_url", "pages_domain", "pid", "ready", "token", "workers_domain"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(keys))); diff != "" {
		t.Errorf("keys of the ready line (-want +got):\n%s", diff)
	}
	if p.PID != p.cmd.Process.Pid {
		t.Errorf("it says it is process %d and is %d", p.PID, p.cmd.Process.Pid)
	}
	if p.WorkersDomain != "local.workers."+p.Domain || p.PagesDomain != "pages."+p.Domain {
		t.Errorf("domains %s and %s", p.WorkersDomain, p.PagesDomain)
	}
	token, err := os.ReadFile(filepath.Join(p.data, "operator-token"))
	if err != nil || strings.TrimSpace(string(token)) != p.Token {
		t.Errorf("the file has token %q, the line %q (%v)", token, p.Token, err)
	}
	p.get(t, p.host("nobody"), "/")
	p.stop(t) // which fails when there was a second line
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := create(t.Context(), p.client(t), "w", hello("still here")); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(p.PID)
	p.refused(t, anyPorts, "already runs", p.data, pid, "--data")
	p.refused(t, []string{"--port", port(t, p.EdgeURL), "--api-port", port(t, p.APIURL)}, "already runs", p.data, pid)
	if a := p.get(t, p.host("w"), "/"); a.Body != "still here" {
		t.Errorf("afterwards: %d %q", a.Status, a.Body)
	}
	if stdout, _, code := p.cli(t, "status"); code != 0 {
		t.Errorf("status: %d %s", code, stdout)
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestTakenPortsAreNamed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := port(t, "http://"+ln.Addr().String())
	p := &platform{data: filepath.Join(t.TempDir(), "data")}
	p.refused(t, []string{"--port", taken, "--api-port", "0"}, "127.0.0.1:"+taken, "taken", "edge", "--port")
	p.refused(t, []string{"--port", "0", "--api-port", taken}, "127.0.0.1:"+taken, "taken", "API", "--api-port")
	absent(t, p.data)
}

func TestBadDataDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "data")} {
		p := &platform{data: dir}
		p.refused(t, anyPorts, file, "not a directory", "choose another")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file in the way has changed: %q, %v", b, err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	m := mount(t, "ro,size=400m")
	for _, dir := range []string{m.dir, filepath.Join(m.dir, "data")} {
		p := &platform{data: dir, prefix: m.prefix}
		p.refused(t, anyPorts, "read-only", dir)
		if stdout, _, code := p.cli(t, "doctor"); code != 1 || !strings.Contains(stdout, "read-only") {
			t.Errorf("doctor: %d\n%s", code, stdout)
		}
	}
	if left, err := os.ReadDir(m.root); err != nil || len(left) > 0 {
		t.Errorf("the file system has %v, %v", left, err)
	}
}

func TestTooSmallFileSystem(t *testing.T) {
	t.Parallel()
	m := mount(t, "size=1m")
	p := &platform{data: filepath.Join(m.dir, "data"), prefix: m.prefix}
	p.refused(t, anyPorts, "MiB free", m.dir, "--data")
	absent(t, filepath.Join(m.root, "data"))
}

// TestDiskFillsUp: what runs goes on, what cannot be kept is refused in words,
// and a restart on a full disk changes nothing.
func TestDiskFillsUp(t *testing.T) {
	t.Parallel()
	m := mount(t, "size=48m")
	p := &platform{data: filepath.Join(m.dir, "data"), prefix: m.prefix, env: []string{"SELVAGE_WORKERD=" + workerd(t)}}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	c := p.client(t)
	if err := create(t.Context(), c, "w", hello("before")); err != nil {
		t.Fatal(err)
	}
	fill := func() {
		t.Helper()
		if err := os.WriteFile(filepath.Join(m.root, "ballast"), bytes.Repeat([]byte{1}, 64<<20), 0o600); err == nil {
			t.Fatal("the file system is not full")
		}
	}
	free := func() {
		t.Helper()
		if err := os.Remove(filepath.Join(m.root, "ballast")); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	big := hello("after") + "\n// " + strings.Repeat("x", 1<<20)
	if _, err := upload(t.Context(), c, "w", big); err == nil || !strings.Contains(err.Error(), "space") {
		t.Errorf("a deploy on a full disk: %v, want a word about space", err)
	}
	if a := p.get(t, p.host("w"), "/"); a.Body != "before" {
		t.Errorf("after the refused deploy: %d %q", a.Status, a.Body)
	}
	free()
	if _, err := upload(t.Context(), c, "w", big); err != nil {
		t.Errorf("a deploy with space again: %v\n%s", err, tail(p.stderr.String(), 2000))
	}
	if a := p.get(t, p.host("w"), "/"); a.Body != "after" {
		t.Errorf("after it: %d %q", a.Status, a.Body)
	}
	p.stop(t)

	fill()
	p.refused(t, anyPorts, "no space left", m.dir)
	free()
	p.up(t)
	if a := p.get(t, p.host("w"), "/"); a.Body != "after" {
		t.Errorf("after a start on a full disk: %d %q", a.Status, a.Body)
	}
}

// workerd is the one that tools/ pins.
func workerd(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repo(t), "tools", "node_modules", "@cloudflare", "workerd-*", "bin", "workerd"))
	if err != nil || len(found) != 1 {
		t.Fatalf("workerd is not installed under tools/ (%v, %v): run \"make build\"", found, err)
	}
	return found[0]
}

func TestNewerDataDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.stop(t)
	db, err := sql.Open("sqlite3", filepath.Join(p.data, "selvage.db"))
	if err != nil {
		t.Fatal(err)
	}
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version == 0 {
		t.Fatalf("version %d, %v", version, err)
	}
	if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, p.data)
	delete(before, "/lock") // which is taken for the look inside
	p.refused(t, anyPorts, "newer release", p.data)
	stdout, stderr, code := p.cli(t, "token", "roll", "operator")
	oneLine(t, stdout, stderr, code, "newer release")
	after := tree(t, p.data)
	delete(after, "/lock")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the data directory has changed:\n%s", diff)
	}
}

func TestConfigurationMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "selvage.toml")
	p := &platform{data: filepath.Join(dir, "data")}
	for _, c := range []struct {
		text  string
		wants []string
	}{
		{"port = 0\n\n[limits]\nbody_sizee = \"1KiB\"\n", []string{file + ":4:", "limits.body_sizee", `did you mean "limits.body_size"`}},
		{"port = 0\n[log]\nlevel = \"loud\"\n", []string{file + ":3:", "log.level", "debug"}},
		{"port = 0\nport = 1\n", []string{file + ":2"}},
		{"port = \n", []string{file + ":1"}},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.refused(t, []string{"--config", file}, c.wants...)
	}
	p.refused(t, []string{"--config", filepath.Join(dir, "none.toml")}, "none.toml")
	absent(t, p.data)

	// A flag beats a variable, which beats the file.
	if err := os.WriteFile(file, []byte("domain = \"file.example\"\nsubdomain = \"team\"\nidle_stop = \"7m\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"SELVAGE_DOMAIN=env.example", "SELVAGE_IDLE_STOP=8m", "SELVAGE_NO_SUCH_OPTION=1"}
	p.args = []string{"--config", file, "--domain", "flag.example"}
	p.up(t)
	defer p.stop(t)
	if p.WorkersDomain != "team.workers.flag.example" {
		t.Errorf("workers domain %s", p.WorkersDomain)
	}
	soon(t, "a word on the unknown variable", func() bool { return strings.Contains(p.stderr.String(), "SELVAGE_NO_SUCH_OPTION") })
	stdout, _, _ := p.cli(t, "config", "--config", file)
	if !strings.Contains(stdout, "8m") || !strings.Contains(stdout, "SELVAGE_IDLE_STOP") || strings.Contains(stdout, "7m") {
		t.Errorf("config:\n%s", stdout)
	}
}
