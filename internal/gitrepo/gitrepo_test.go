package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Git() == "" {
		t.Fatal("this test needs git")
	}
	return s
}

// repo makes a repository with one commit on main, and returns its id and the commit.
func repo(t *testing.T, s *Store, tree string) (id, commit string) {
	t.Helper()
	id = uuid.NewString()
	if err := s.Ensure(t.Context(), id, "main"); err != nil {
		t.Fatal(err)
	}
	return id, commitTo(t, s, id, "main", tree)
}

// plumb runs git in a repository.
func plumb(t *testing.T, s *Store, id, stdin string, args ...string) string {
	t.Helper()
	dir, err := s.path(id)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	env := []string{"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test"}
	if err := s.run(t.Context(), command{repo: dir, dir: dir, args: args, env: env, in: strings.NewReader(stdin), out: &out}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// commitTo makes a commit of a tree, whose lines "MODE NAME CONTENT" are its files.
func commitTo(t *testing.T, s *Store, id, branch, tree string) string {
	t.Helper()
	var lines strings.Builder
	for line := range strings.Lines(tree) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		hash, kind := strings.Repeat("1", 40), "commit"
		if f[0] != "160000" {
			hash, kind = plumb(t, s, id, f[2], "hash-object", "-w", "--stdin"), "blob"
		}
		lines.WriteString(f[0] + " " + kind + " " + hash + "\t" + f[1] + "\n")
	}
	commit := plumb(t, s, id, "", "commit-tree", plumb(t, s, id, lines.String(), "mktree", "--missing"), "-m", "of "+branch)
	plumb(t, s, id, "", "update-ref", "refs/heads/"+branch, commit)
	return commit
}

// TestCheckout writes what a commit has, and nothing when it has too much.
func TestCheckout(t *testing.T) {
	t.Parallel()
	s := open(t)
	id, commit := repo(t, s, "100644 a.txt hello\n120000 link /etc/passwd\n160000 sub x\n100755 run it\n")
	dest := t.TempDir()
	tree, err := s.Checkout(t.Context(), id, commit, dest, Bounds{Files: 3, Bytes: 100})
	if err != nil || tree.Files != 3 || tree.Bytes != 18 || len(tree.Submodules) != 1 || tree.Submodules[0] != "sub" {
		t.Fatalf("%+v %v", tree, err)
	}
	if b, err := os.ReadFile(filepath.Join(dest, "a.txt")); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
	if to, err := os.Readlink(filepath.Join(dest, "link")); err != nil || to != "/etc/passwd" {
		t.Errorf("%q %v", to, err)
	}
	for _, b := range []Bounds{{Files: 2, Bytes: 100}, {Files: 3, Bytes: 17}} {
		empty := t.TempDir()
		_, err := s.Checkout(t.Context(), id, commit, empty, b)
		if _, ok := errors.AsType[*TreeError](err); !ok {
			t.Errorf("%+v: %v", b, err)
		}
		if left, _ := os.ReadDir(empty); len(left) > 0 {
			t.Errorf("%+v: files were written", b)
		}
	}
	if _, err := s.Checkout(t.Context(), id, "--output=/tmp/x", t.TempDir(), Bounds{Files: 9, Bytes: 999}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an option as a commit: %v", err)
	}
}

// TestInterrupted finds what a push moved that nobody recorded, and removes what the
// killed git left.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := open(t)
	id, first := repo(t, s, "100644 a 1\n")
	quiet, _ := repo(t, s, "100644 a 1\n")
	dir, err := s.path(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.writeMark(dir, &mark{Note: []byte(`{"project":"x"}`), Heads: Heads{"main": first, "gone": first}}); err != nil {
		t.Fatal(err)
	}
	second := commitTo(t, s, id, "main", "100644 a 2\n")
	other := commitTo(t, s, id, "other", "100644 a 3\n")
	for _, p := range []string{filepath.Join(dir, indexPrefix+"x"), filepath.Join(dir, "objects", "tmp_objdir-incoming-x"), filepath.Join(dir, "refs", "heads", "main.lock")} {
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.Interrupted(t.Context())
	if err != nil || len(found) != 1 || found[0].ID != id || string(found[0].Note) != `{"project":"x"}` {
		t.Fatalf("%+v %v (and not %s)", found, err, quiet)
	}
	want := []Change{{"gone", ""}, {"main", second}, {"other", other}}
	for i, c := range found[0].Changes {
		if c != want[i] {
			t.Errorf("change %d: %+v, want %+v", i, c, want[i])
		}
	}
	for _, p := range []string{indexPrefix + "x", "objects/tmp_objdir-incoming-x", "refs/heads/main.lock"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err == nil {
			t.Errorf("%s is left", p)
		}
	}
	if err := s.Recorded(id); err != nil {
		t.Fatal(err)
	}
	if found, err = s.Interrupted(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("after it was recorded: %+v %v", found, err)
	}
}

// TestIDs lets nothing but an id become a path.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", "{" + uuid.NewString() + "}", "urn:uuid:" + uuid.NewString(), strings.Repeat("0", 36)} {
		if err := s.Ensure(t.Context(), id, "main"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	none := &Store{o: s.o, locks: make(map[string]*lock)}
	if err := none.Ensure(t.Context(), uuid.NewString(), "main"); !errors.Is(err, ErrNoGit) {
		t.Errorf("without git: %v", err)
	}
}

func TestValidBranch(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"main", "a/b", "Fix/the_API!", "ü", "v1.2"} {
		if !ValidBranch(b) {
			t.Errorf("%q is refused", b)
		}
	}
	for _, b := range []string{"", "-x", "a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a b", "a~", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a\x00", "@", "a@{b", "a.", "HEAD", strings.Repeat("a", 251)} {
		if ValidBranch(b) {
			t.Errorf("%q is taken", b)
		}
	}
}

// TestSideband holds back the flush, says more, and ends.
func TestSideband(t *testing.T) {
	t.Parallel()
	git := pktLine("\x02progress\n") + pktLine("\x01"+pktLine("unpack ok\n")+flushPkt) + flushPkt
	for cut := range len(git) {
		var out bytes.Buffer
		b := &sideband{w: &out}
		for _, part := range []string{git[:cut], git[cut:]} {
			if _, err := io.WriteString(b, part); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(b.say("more\n"), b.say(""), b.end()); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(git, flushPkt) + pktLine("\x02more\n") + "0005\x02" + flushPkt
		if out.String() != want {
			t.Fatalf("cut at %d: %q, want %q", cut, &out, want)
		}
	}
	var out bytes.Buffer
	b := &sideband{w: &out, wrote: true}
	if err := b.say(strings.Repeat("x", 3*maxPkt)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\x02"); n != 4 {
		t.Errorf("a long text came as %d packets", n)
	}
}

func TestWantsSideband(t *testing.T) {
	t.Parallel()
	update := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " refs/heads/main\x00"
	for text, want := range map[string]bool{
		pktLine(update+" report-status side-band-64k agent=git/2") + flushPkt:         true,
		pktLine("shallow "+strings.Repeat("1", 40)) + pktLine(update+"side-band-64k"): true,
		pktLine(update+" report-status side-band") + flushPkt:                         false,
		flushPkt: false, "": false, "zzzz": false, "0004": false, "fff": false, "ffff": false,
	} {
		r := bufio.NewReaderSize(strings.NewReader(text), maxPkt)
		if got := wantsSideband(r); got != want {
			t.Errorf("%.60q: %v", text, got)
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != text {
			t.Errorf("%.60q was read: %.60q %v", text, rest, err)
		}
	}
}

// FuzzSideband holds that what git writes comes out as it was but for the flush at
// its end, in whatever pieces it comes.
func FuzzSideband(f *testing.F) {
	f.Add([]byte(pktLine("\x02a")+flushPkt), 3)
	f.Add([]byte("0001"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var whole, parts bytes.Buffer
		a, b := &sideband{w: &whole}, &sideband{w: &parts}
		_, errA := a.Write(in)
		cut = min(max(cut, 0), len(in))
		_, errB := b.Write(in[:cut])
		if errB == nil {
			_, errB = b.Write(in[cut:])
		}
		if (errA == nil) != (errB == nil) || whole.String() != parts.String() {
			t.Fatalf("%q, %v and %q, %v", &whole, errA, &parts, errB)
		}
		if !bytes.HasPrefix(in, whole.Bytes()) {
			t.Fatalf("%q is no beginning of %q", &whole, in)
		}
		wantsSideband(bufio.NewReaderSize(bytes.NewReader(in), maxPkt))
	})
}

// FuzzMeasure reads what ls-tree prints.
func FuzzMeasure(f *testing.F) {
	f.Add([]byte("100644 blob 1111111111111111111111111111111111111111       5\ta.txt\x00160000 commit 1111111111111111111111111111111111111111       -\tsub\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &measure{bounds: Bounds{Files: 10, Bytes: 1000}}
		_, err := m.Write(in)
		if err == nil && (m.tree.Files > 10 || m.tree.Bytes > 1000) {
			t.Fatalf("%+v is within its bounds", m.tree)
		}
	})
}

// TestBrokenOff ends a push in the middle of its pack: no reference moves, and nothing
// stays in quarantine.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	s := open(t)
	id, first := repo(t, s, "100644 a 1\n")
	dir, err := s.path(id)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := s.Receive(ctx, id, nil, r, io.Discard, func(context.Context, []Change) error { t.Error("recorded"); return nil })
		done <- err
	}()
	// A pack of 1000 objects of which none comes.
	io.WriteString(w, pktLine(first+" "+strings.Repeat("2", 40)+" refs/heads/main\x00report-status")+flushPkt+"PACK\x00\x00\x00\x02\x00\x00\x03\xe8")
	quarantine := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "objects", "tmp_objdir-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for end := time.Now().Add(20 * time.Second); len(quarantine()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("git has begun no quarantine")
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("a push that broke off was taken")
	}
	w.Close()
	if left := quarantine(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if heads, err := s.Heads(t.Context(), id); err != nil || heads["main"] != first {
		t.Errorf("%v %v", heads, err)
	}
}

// TestCanceled ends git with the context.
func TestCanceled(t *testing.T) {
	t.Parallel()
	s := open(t)
	id, _ := repo(t, s, "100644 a 1\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("gone")
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan error)
	go func() {
		_, err := s.Receive(ctx, id, nil, r, io.Discard, func(context.Context, []Change) error { return nil })
		done <- err
	}()
	w.Write([]byte("00")) // half of a length, and then nothing
	cancel(cause)
	w.Close()
	if err := <-done; !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
