package d1_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/sqlite/faultvfs"
	"github.com/selvage-dev/selvage/internal/store"
)

// disk keeps what is durable of the files below a folder, and makes images of what a
// power failure may leave: of each file what was synced last, or what is in it, or a
// mixture of their sectors. Names are taken to be durable once they are given.
type disk struct {
	dir   string
	acked atomic.Int64

	mu      sync.Mutex
	random  *rand.Rand
	durable map[uint64][]byte // by inode
	times   map[uint64]time.Time
	pending map[string][]byte // of a sync that runs
	events  int
	every   int // an image of so many events
	images  []image
}

type image struct {
	event string
	acked int64
	files map[string][]byte
	times map[string]time.Time
}

// sector is what a disk writes whole.
const sector = 512

func (d *disk) hook(op fsx.Op, path string) error {
	if !strings.HasPrefix(path, d.dir) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op { //nolint:exhaustive // others need only be kept from running meanwhile
	case fsx.OpSync:
		d.event(string(op) + " " + filepath.Base(path))
		d.synced(path, read(path))
	case fsx.OpRemove:
		if ino, ok := inode(path); ok {
			delete(d.durable, ino)
		}
	case fsx.OpRename, fsx.OpSyncDir:
		d.event(string(op) + " " + filepath.Base(path))
	}
	return nil
}

func (d *disk) sync(path string, done bool) { //nolint:revive // the two ends of one event
	if !strings.HasPrefix(path, d.dir) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !done {
		d.pending[path] = read(path)
	} else {
		d.synced(path, d.pending[path])
	}
	d.event(fmt.Sprintf("sync of %s, done %v", filepath.Base(path), done))
}

func (d *disk) synced(path string, content []byte) {
	if ino, ok := inode(path); ok {
		d.durable[ino] = content
		d.times[ino] = modified(path)
	}
}

func (d *disk) event(what string) {
	d.events++
	if d.acked.Load() == 0 || d.random.IntN(d.every) > 0 {
		return
	}
	faultvfs.Frozen(func() {
		im := image{event: what, acked: d.acked.Load(), files: make(map[string][]byte), times: make(map[string]time.Time)}
		_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, "-shm") {
				return err
			}
			ino, ok := inode(path)
			if ok {
				rel, _ := filepath.Rel(d.dir, path)
				var old bool
				if im.files[rel], old = d.left(d.durable[ino], read(path)); old {
					im.times[rel] = d.times[ino]
				} else {
					im.times[rel] = modified(path)
				}
			}
			return nil
		})
		d.images = append(d.images, im)
	})
}

// left is what may be left of a file that was synced as durable and is now as current,
// and whether that is the former.
func (d *disk) left(durable, current []byte) (out []byte, old bool) {
	switch d.random.IntN(3) {
	case 0:
		return durable, true
	case 1:
		return current, false
	}
	out = bytes.Clone(durable)
	if d.random.IntN(2) == 0 {
		out = out[:min(len(out), len(current))]
	}
	for at := 0; at < len(current); at += sector {
		end := min(at+sector, len(current))
		if d.random.IntN(2) == 0 {
			if len(out) < end {
				out = append(out, make([]byte, end-len(out))...)
			}
			copy(out[at:end], current[at:end])
		}
	}
	return out, false
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func read(path string) []byte {
	b, _ := os.ReadFile(path) // one that is gone meanwhile is empty
	return b
}

func inode(path string) (uint64, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return st.Ino, ok
}

// TestPowerLoss writes, restores and checkpoints, cuts the power at the syncs of every
// file, and looks at what is there then: every acknowledged transaction, whole, and a
// history that goes back to each of them.
func TestPowerLoss(t *testing.T) {
	if err := faultvfs.Install("/d1/"); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	d := &disk{dir: filepath.Join(dir, "d1"), random: rand.New(rand.NewPCG(seed, 1)), durable: map[uint64][]byte{}, times: map[uint64]time.Time{}, pending: map[string][]byte{}, every: 12}
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		d.every = 1
	}
	faultvfs.Watch(d.sync)
	defer faultvfs.Watch(nil)
	st, err := store.OpenWith(dir, store.Options{FS: fsx.WithHook(d.hook)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d1.New(powerOptions(st, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Create(t.Context(), account, d1.CreateOptions{Name: "power"})
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.Open(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	makeSchema(t, db)
	bookmarks, states := workUnderWatch(t, random, d, db)
	db.Release()
	if err := errors.Join(s.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}
	faultvfs.Watch(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.images {
		checkImage(t, random, dir, &d.images[i], bookmarks, states)
	}
	if len(d.images) < 10 || len(states) < 20 {
		t.Errorf("only %d images of %d states", len(d.images), len(states))
	}
	t.Logf("%d syncs and renames, %d power failures, %d acknowledged transactions, 0 lost", d.events, len(d.images), len(states))
}

func powerOptions(st *store.Store, log *slog.Logger) d1.Options {
	o := d1.Options{Store: st, Log: log, Readers: 1}
	d1.SetCheckpointFrames(&o, 40)
	return o
}

// workUnderWatch changes the database and notes, for each acknowledged change, its
// bookmark and what the database held then.
func workUnderWatch(t *testing.T, random *rand.Rand, d *disk, db *d1.Database) (bookmarks, states []string) {
	t.Helper()
	ack := func() {
		bookmarks, states = append(bookmarks, db.Bookmark()), append(states, contentDigest(t, db))
		d.acked.Store(int64(len(states)))
	}
	ack()
	for i := range 80 {
		switch random.IntN(12) {
		case 0:
			if _, err := db.Restore(t.Context(), d1.Target{Bookmark: bookmarks[random.IntN(len(bookmarks))]}); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := db.MergeHistory(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		default:
			exec1(t, db, fmt.Sprintf("INSERT INTO t (v, pad) SELECT value, hex(randomblob(%d)) FROM generate; UPDATE meta SET n = %d", random.IntN(400), i))
		}
		ack()
	}
	return bookmarks, states
}

// checkImage starts the platform on what a power failure left.
func checkImage(t *testing.T, random *rand.Rand, origin string, im *image, bookmarks, states []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(origin)); err != nil { // the control plane's own, which other tests cut off
		t.Fatal(err)
	}
	err := errors.Join(os.RemoveAll(filepath.Join(dir, "d1")), filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600) // CopyFS adds to it
	}))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range im.files {
		path := filepath.Join(dir, "d1", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path, b, 0o600), os.Chtimes(path, im.times[name], im.times[name])); err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d1.New(powerOptions(st, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}()
	info, err := s.Get(t.Context(), account, "power")
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.Open(t.Context(), info.ID)
	if err != nil {
		t.Errorf("power failure at %s: %v", im.event, err)
		return
	}
	defer db.Release()
	now := contentDigest(t, db)
	last := int(im.acked) - 1
	if now != states[last] && (last+1 >= len(states) || now != states[last+1]) {
		t.Errorf("power failure at %s: the database holds neither what was acknowledged nor what was on its way", im.event)
	}
	integrity(t, db)
	if bookmark := db.Bookmark(); bookmark < bookmarks[last] {
		t.Errorf("power failure at %s: the bookmark is %s, %s was given out", im.event, bookmark, bookmarks[last])
	}
	back := random.IntN(last + 1)
	if _, err := db.Restore(t.Context(), d1.Target{Bookmark: bookmarks[back]}); err != nil {
		t.Errorf("power failure at %s: restore %s: %v", im.event, bookmarks[back], err)
		return
	}
	if contentDigest(t, db) != states[back] {
		t.Errorf("power failure at %s: %s was restored as something else", im.event, bookmarks[back])
	}
}

// TestFullDisk fills the disk under the database and its log: writes fail and say so,
// reads go on, and when there is room again so do writes.
func TestFullDisk(t *testing.T) {
	if err := faultvfs.Install("/d1/"); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	st, err := store.OpenWith(t.TempDir(), store.Options{FS: fsx.WithHook(func(op fsx.Op, _ string) error {
		if full.Load() && op == fsx.OpWrite {
			return fsx.ErrNoSpace
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d1.New(d1.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}()
	db := database(t, s, "full")
	defer db.Release()
	must(t, db, "CREATE TABLE t (n)", "INSERT INTO t VALUES (1)")
	before := db.Bookmark()
	for range 2 {
		full.Store(true)
		faultvfs.Fill()
		_, err = do(t, db, "INSERT INTO t VALUES (2)")
		q, ok := errors.AsType[*d1.QueryError](err)
		if !ok || !q.Broken() || !strings.Contains(err.Error(), "database or disk is full: SQLITE_FULL") {
			t.Errorf("a write on a full disk: %v", err)
		}
		if got := must(t, db, "SELECT count(*) FROM t"); got[0] != "[[1]]" {
			t.Errorf("a read on a full disk: %s", got)
		}
		faultvfs.Drain()
		full.Store(false)
	}
	must(t, db, "INSERT INTO t VALUES (3)")
	integrity(t, db)
	if got := must(t, db, "SELECT group_concat(n) FROM t"); got[0] != `[["1,3"]]` {
		t.Errorf("after the disk was full: %s", got)
	}

	// The log of time travel alone cannot be written: writes go on, and it catches up.
	full.Store(true)
	must(t, db, "INSERT INTO t VALUES (4)")
	if _, err := db.BookmarkAt(t.Context(), time.Time{}); !errors.Is(err, fsx.ErrNoSpace) {
		t.Errorf("a bookmark while the history cannot be written: %v", err)
	}
	full.Store(false)
	at := db.Bookmark()
	must(t, db, "INSERT INTO t VALUES (5)")
	if _, err := db.Restore(t.Context(), d1.Target{Bookmark: at}); err != nil {
		t.Errorf("restore what was written while the history could not be: %v", err)
	}
	if got := must(t, db, "SELECT group_concat(n) FROM t"); got[0] != `[["1,3,4"]]` {
		t.Errorf("restored: %s", got)
	}
	if _, err := db.Restore(t.Context(), d1.Target{Bookmark: before}); err != nil {
		t.Error(err)
	}
}
