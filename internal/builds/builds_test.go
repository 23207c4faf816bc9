package builds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/gitrepo"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is the repositories and the sites of a test. A commit's hash is its message.
type fake struct {
	Repos

	mu       sync.Mutex
	gate     chan struct{} // a checkout takes one
	begun    []string      // commits, in the order in which their builds began
	deployed []string
	failed   []string
	left     []gitrepo.Interrupted
	recorded []string
	refuse   error
}

func (f *fake) Message(_ context.Context, _, commit string) (string, error) { return commit, nil }

func (f *fake) Interrupted(context.Context) ([]gitrepo.Interrupted, error) { return f.left, nil }

func (f *fake) Recorded(id string) error {
	f.recorded = append(f.recorded, id)
	return nil
}

func (f *fake) Checkout(ctx context.Context, _, commit, dest string, _ gitrepo.Bounds) (gitrepo.Tree, error) {
	f.mu.Lock()
	f.begun = append(f.begun, commit)
	f.mu.Unlock()
	select {
	case <-f.gate:
	case <-ctx.Done():
		return gitrepo.Tree{}, ctx.Err()
	}
	// A commit named after a file has it.
	if err := os.MkdirAll(filepath.Join(dest, filepath.Dir(commit)), 0o700); err != nil {
		return gitrepo.Tree{}, err
	}
	if strings.ContainsAny(commit, "/.") {
		if err := os.WriteFile(filepath.Join(dest, commit), []byte("x"), 0o600); err != nil {
			return gitrepo.Tree{}, err
		}
	}
	return gitrepo.Tree{Files: 1, Bytes: 1}, os.WriteFile(filepath.Join(dest, "index.html"), []byte(commit), 0o600)
}

func (f *fake) Site(_ context.Context, account, project string) (*Site, error) {
	if project == "none" {
		return nil, nil
	}
	return &Site{ID: "id of " + project, Account: account, Name: project, Branch: "main"}, nil
}

func (f *fake) Deploy(_ context.Context, _ *Site, q *Deploy, log func(string)) (Deployed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	log("deploying")
	if f.refuse != nil {
		return Deployed{}, f.refuse
	}
	f.deployed = append(f.deployed, q.Commit)
	return Deployed{ID: "d " + q.Commit, URL: "http://x"}, nil
}

func (f *fake) DeployFailed(_ context.Context, _ *Site, q *Deploy) (Deployed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, q.Commit)
	return Deployed{ID: "f " + q.Commit}, nil
}

func (f *fake) order() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.begun...)
}

type bench struct {
	*Service
	*fake

	t   *testing.T
	st  *store.Store
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{fake: &fake{gate: make(chan struct{})}, t: t, st: st, dir: t.TempDir()}
	b.open()
	t.Cleanup(func() {
		if err := errors.Join(b.Close(context.Background()), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	s, err := New(b.t.Context(), Options{Store: b.st, Repos: b.fake, Sites: b.fake, Dir: b.dir, MaxLog: 4 << 10})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = s
}

// push records a push of commits, "branch:commit", to a project.
func (b *bench) push(project string, heads ...string) []*Build {
	b.t.Helper()
	var changes []gitrepo.Change
	for _, h := range heads {
		branch, commit, _ := strings.Cut(h, ":")
		changes = append(changes, gitrepo.Change{Branch: branch, Commit: commit})
	}
	site, _ := b.Site(b.t.Context(), "a", project)
	made, err := b.record(b.t.Context(), site, changes)
	if err != nil {
		b.t.Fatal(err)
	}
	return made
}

// until waits for something that comes by itself.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s; begun %v", what, b.order())
		}
	}
}

func (b *bench) status(project, id string) Build {
	b.t.Helper()
	got, err := b.Build(b.t.Context(), "a", project, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// TestFairness: one build of a project at a time, the project that has waited longest
// next, the newest push of a branch only.
func TestFairness(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.push("busy", "main:1")
	b.until("the first begins", func() bool { return len(b.order()) == 1 })
	b.push("busy", "a:2", "b:3", "c:4")
	old := b.push("busy", "d:5")
	b.push("busy", "d:6")
	b.push("quiet", "main:q1")
	b.push("other", "main:o1")
	skipped := b.push("quiet", "x:do not [skip ci] this")
	if got := b.status("busy", old[0].ID); got.Status != Superseded || got.Reason == "" {
		t.Errorf("%+v", got)
	}
	if skipped[0].Status != Skipped {
		t.Errorf("%+v", skipped[0])
	}
	for range 7 {
		b.gate <- struct{}{}
	}
	b.until("all are over", func() bool { b.fake.mu.Lock(); defer b.fake.mu.Unlock(); return len(b.deployed) == 7 })
	if got := strings.Join(b.order(), " "); got != "1 q1 o1 2 3 4 6" {
		t.Errorf("the order is %s", got)
	}
}

// TestStopAndCrash: what was open goes on, a stop counts for nothing, and a second
// crash is the end.
func TestStopAndCrash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	running, queued := b.push("p", "main:1")[0], b.push("p", "dev:2")[0]
	b.until("it begins", func() bool { return len(b.order()) == 1 })
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{running.ID, queued.ID} {
		if got := b.status("p", id); got.Status != Queued || got.Attempts != 0 {
			t.Errorf("after a stop: %+v", got)
		}
	}
	if _, err := b.record(t.Context(), &Site{ID: "id of p", Name: "p"}, []gitrepo.Change{{Branch: "x", Commit: "9"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("a push to a service that is closed: %v", err)
	}
	// As a crash would leave it, and a push that it cut off.
	crashed := b.status("p", running.ID)
	crashed.Status, crashed.Attempts = Running, 2
	if err := b.update(t.Context(), &crashed); err != nil {
		t.Fatal(err)
	}
	b.left = []gitrepo.Interrupted{
		{ID: "id of p", Note: json.RawMessage(`{"account":"a","project":"p"}`), Changes: []gitrepo.Change{{Branch: "lost", Commit: "3"}}},
		{ID: "id of one that was deleted", Note: json.RawMessage(`{"account":"a","project":"none"}`), Changes: []gitrepo.Change{{Branch: "x", Commit: "4"}}},
	}
	b.open()
	if len(b.recorded) != 2 {
		t.Errorf("recorded %v", b.recorded)
	}
	if got := b.status("p", running.ID); got.Status != Failed || !strings.Contains(got.Reason, "2 times") {
		t.Errorf("after two crashes: %+v", got)
	}
	b.gate <- struct{}{}
	b.gate <- struct{}{}
	b.until("the rest is built", func() bool { b.fake.mu.Lock(); defer b.fake.mu.Unlock(); return len(b.deployed) == 2 })
	if got := strings.Join(b.deployed, " "); got != "2 3" && got != "3 2" {
		t.Errorf("deployed %s", got)
	}
}

// TestOutcomes: what the sites refuse is the build's failure and says why; what the
// platform does wrong is not said in public.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		err    error
		reason string
	}{
		{&RefusedError{Text: "too many rules"}, "too many rules"},
		{errors.New("a secret of the platform's"), "the platform failed; its log has the cause under the id of the build"},
	} {
		b.fake.mu.Lock()
		b.refuse = c.err
		b.fake.mu.Unlock()
		id := b.push("p", "main:"+fmt.Sprintf("%p", c.err))[0].ID
		b.gate <- struct{}{}
		b.until("it is over", func() bool { return b.status("p", id).Status == Failed })
		got := b.status("p", id)
		if got.Reason != c.reason || got.Deployment[:2] != "f " {
			t.Errorf("%+v", got)
		}
		raw, _ := json.Marshal(got.Log)
		if bytes.Contains(raw, []byte("secret of the platform")) {
			t.Errorf("the log has a private cause: %s", raw)
		}
	}
	if _, err := b.Cancel(t.Context(), "a", "p", "nothing"); err == nil {
		t.Error("what there is not was canceled")
	}
	if left, err := os.ReadDir(filepath.Join(b.dir, "work")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// TestLog bounds what is kept, counts the rest, and gives a follower all of it.
func TestLog(t *testing.T) {
	t.Parallel()
	l := newLog(time.Now, 1000)
	seen := make(chan int)
	go func() {
		n := 0
		if err := l.follow(t.Context(), time.Hour, func(lines []Line) bool { n += len(lines); return true }); err != nil {
			t.Error(err)
		}
		seen <- n
	}()
	for range 1000 {
		l.output([]byte(strings.Repeat("x", 36)))
	}
	l.say("the platform is heard all the same")
	l.noteDropped()
	l.close()
	lines := l.all()
	if n := <-seen; n != len(lines) || n != 10+3 {
		t.Errorf("%d lines kept, %d seen", len(lines), n)
	}
	if got := lines[len(lines)-1].Text; got != "[left out: 990 lines, 36630 bytes]" {
		t.Errorf("%q", got)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain\ttext ü": "plain\ttext ü", "\x1b[31mred\x1b[0m": "red", "a\x1b]0;title\x07b": "ab", "a\x1b]0;title\x1b\\b": "ab",
		"\x1b": "", "\x1b[": "", "a\rb\x00\x7f\x9b2Jc": "ab\ufffd2Jc", "\u009b2Jx": "x", "\xff": "\ufffd", "\x1bcx": "x",
	} {
		if got := clean([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := clean(bytes.Repeat([]byte("y"), 1<<20)); len(got) > maxLineText+8 {
		t.Errorf("a line of %d bytes", len(got))
	}
}

// FuzzClean holds that nothing is left that a terminal acts on.
func FuzzClean(f *testing.F) {
	f.Add([]byte("\x1b[31m\x1b]x\x07\x9b"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, r := range clean(in) {
			if r < ' ' && r != '\t' || r >= 0x7f && r <= 0x9f {
				t.Fatalf("%q: %q", in, clean(in))
			}
		}
	})
}

// TestCollect follows links inside of the folder only.
func TestCollect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"secret", "out/b", "out/a/c", "out/.git/x", "out/node_modules/y", "out/a/.DS_Store", "out/.well-known/z"} {
		write(n)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.Symlink("a/c", filepath.Join(dir, "out", "in")); err != nil {
		t.Fatal(err)
	}
	files, err := collect(root, 4)
	if got := strings.Join(files, " "); err != nil || got != ".well-known/z a/c b in" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := collect(root, 3); err == nil {
		t.Error("too many files are taken")
	}
	for _, to := range []string{"../secret", "/etc/passwd", "a", "nothing", "loop", filepath.Join(dir, "out", "b")} {
		link := filepath.Join(dir, "out", "loop")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if files, err := collect(root, 9); err == nil {
			t.Errorf("a link to %s: %v", to, files)
		}
		os.Remove(link)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": ".", "/": ".", "dist": "dist", "/dist/": "dist", "a/../b": "b"} {
		if got, err := local("x", in); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"..", "../x", "a/../../x", "/../x"} {
		if got, err := local("x", in); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}
