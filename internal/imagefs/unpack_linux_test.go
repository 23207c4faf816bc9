package imagefs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/imagefs"
)

type entry struct {
	tar.Header

	body string
}

func layer(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.body))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root: owners and whiteouts")
	}
}

func unpack(tb testing.TB, l []byte, o imagefs.Options) (string, imagefs.Result, error) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "layer")
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	res, err := imagefs.Unpack(tb.Context(), dir, bytes.NewReader(l), o)
	return dir, res, err
}

// TestUnpack reads back all that an entry may have.
func TestUnpack(t *testing.T) {
	needRoot(t)
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	raw := layer(t,
		entry{Header: tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: at}},
		entry{Header: tar.Header{Name: "etc/passwd", Uid: 10, Gid: 20, ModTime: at}, body: "root"},
		entry{Header: tar.Header{Name: "./bin/su", Mode: 0o4755}, body: "su"},
		entry{Header: tar.Header{Name: "bin/hard", Typeflag: tar.TypeLink, Linkname: "bin/su"}},
		entry{Header: tar.Header{Name: "lib", Typeflag: tar.TypeSymlink, Linkname: "/usr/lib"}},
		entry{Header: tar.Header{Name: "run/pipe", Typeflag: tar.TypeFifo, Mode: 0o600}},
		entry{Header: tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		entry{Header: tar.Header{Name: "etc/.wh.gone"}},
		entry{Header: tar.Header{Name: "var/.wh..wh..opq"}},
		entry{Header: tar.Header{Name: "bin/ping", Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{
			"SCHILY.xattr.security.capability":    "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
			"SCHILY.xattr.trusted.overlay.opaque": "y",
		}}, body: "ping"},
	)
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	_, _ = zw.Write(raw)
	_ = zw.Close()
	dir, res, err := unpack(t, z.Bytes(), imagefs.Options{Shift: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(raw)); res.DiffID != want {
		t.Errorf("digest %s, want %s", res.DiffID, want)
	}
	stat := func(name string) (fs.FileInfo, *syscall.Stat_t) {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			t.Fatal("no stat")
		}
		return info, st
	}
	if info, st := stat("etc/passwd"); st.Uid != 100_010 || st.Gid != 100_020 || !info.ModTime().Equal(at) || info.Mode() != 0o644 {
		t.Errorf("etc/passwd: %v %d:%d %v", info.Mode(), st.Uid, st.Gid, info.ModTime())
	}
	if info, _ := stat("etc"); !info.ModTime().Equal(at) {
		t.Errorf("etc: %v", info.ModTime())
	}
	su, a := stat("bin/su")
	_, b := stat("bin/hard")
	if su.Mode() != 0o755|fs.ModeSetuid || a.Ino != b.Ino {
		t.Errorf("bin/su: %v, inodes %d and %d", su.Mode(), a.Ino, b.Ino)
	}
	if to, err := os.Readlink(filepath.Join(dir, "lib")); err != nil || to != "/usr/lib" {
		t.Errorf("lib: %q, %v", to, err)
	}
	if info, _ := stat("run/pipe"); info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("run/pipe: %v", info.Mode())
	}
	if _, err := os.Lstat(filepath.Join(dir, "dev/null")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device below dev: %v", err)
	}
	if info, st := stat("etc/gone"); info.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice || st.Rdev != 0 {
		t.Errorf("the whiteout: %v %d", info.Mode(), st.Rdev)
	}
	attr := func(name, key string) string {
		buf := make([]byte, 100)
		n, err := unix.Lgetxattr(filepath.Join(dir, name), key, buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	if got := attr("var", "trusted.overlay.opaque"); got != "y" {
		t.Errorf("the opaque folder: %q", got)
	}
	if got := attr("bin/ping", "trusted.overlay.opaque"); got == "y" {
		t.Error("a layer's own trusted attribute was taken")
	}
	if got := attr("bin/ping", "security.capability"); len(got) != 24 || got[3] != 3 || got[20:] != "\xa0\x86\x01\x00" {
		t.Errorf("capabilities: %q", got)
	}
}

// TestUnpackHostile holds that nothing comes out of the folder, and what is said.
func TestUnpackHostile(t *testing.T) {
	needRoot(t)
	link := func(name, to string) entry {
		return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}}
	}
	for _, tt := range []struct {
		name    string
		entries []entry
		o       imagefs.Options
		text    string // "": it is unpacked
	}{
		{"dots", []entry{{Header: tar.Header{Name: "../evil"}}}, imagefs.Options{}, "leads out of the image"},
		{"dots inside", []entry{{Header: tar.Header{Name: "a/../../evil"}}}, imagefs.Options{}, "leads out of the image"},
		{"an absolute path", []entry{{Header: tar.Header{Name: "/inside"}}}, imagefs.Options{}, ""},
		{"through a link", []entry{link("a", ".."), {Header: tar.Header{Name: "a/evil"}}}, imagefs.Options{}, "cannot be unpacked"},
		{"through an absolute link", []entry{link("a", "/tmp"), {Header: tar.Header{Name: "a/evil"}}}, imagefs.Options{}, "cannot be unpacked"},
		{"over a link", []entry{link("evil", "../evil"), {Header: tar.Header{Name: "evil"}, body: "x"}}, imagefs.Options{}, ""},
		{"hard link out", []entry{{Header: tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "../outside"}}}, imagefs.Options{}, "leads out of the image"},
		{"hard link through a link", []entry{link("d", ".."), {Header: tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "d/outside"}}}, imagefs.Options{}, "no file of the same layer"},
		{"a device", []entry{{Header: tar.Header{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}}}, imagefs.Options{}, "is a device node"},
		{"a whiteout of the parent", []entry{{Header: tar.Header{Name: "a/.wh..."}}}, imagefs.Options{}, "no whiteout"},
		{"a bomb", []entry{{Header: tar.Header{Name: "zeros"}, body: strings.Repeat("\x00", 1<<20)}}, imagefs.Options{MaxBytes: 1 << 19}, "is too large"},
		{"many entries", []entry{{Header: tar.Header{Name: "a"}}, {Header: tar.Header{Name: "b"}}, {Header: tar.Header{Name: "c"}}}, imagefs.Options{MaxEntries: 2}, "more than 2 entries"},
		{"depth", []entry{{Header: tar.Header{Name: strings.Repeat("d/", 200) + "f"}}}, imagefs.Options{}, "nested too deeply"},
		{"a foreign owner", []entry{{Header: tar.Header{Name: "a", Uid: 70_000}}}, imagefs.Options{Shift: 1000}, "belongs to 70000:0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, _, err := unpack(t, layer(t, tt.entries...), tt.o)
			own, ok := errors.AsType[*imagefs.LayerError](err)
			if tt.text == "" && err != nil || tt.text != "" && (!ok || !strings.Contains(own.Error(), tt.text)) {
				t.Errorf("got %v, want %q", err, tt.text)
			}
			left, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(left) != 1 {
				t.Errorf("beside the folder: %v, %v", left, err)
			}
		})
	}
	if _, err := os.Lstat("/tmp/evil"); err == nil {
		t.Error("/tmp/evil exists")
	}
	for name, l := range map[string][]byte{"nothing": nil, "no archive": []byte(strings.Repeat("x", 2000)), "cut off": layer(t, entry{Header: tar.Header{Name: "a"}, body: strings.Repeat("x", 4000)})[:2000]} {
		if _, _, err := unpack(t, l, imagefs.Options{}); err == nil {
			t.Errorf("%s was unpacked", name)
		}
	}
}

// FuzzUnpack holds that no archive makes anything beside its folder.
func FuzzUnpack(f *testing.F) {
	needRoot(f)
	f.Add(layer(f, entry{Header: tar.Header{Name: "a/b"}, body: "x"}, entry{Header: tar.Header{Name: "a/.wh.c"}}))
	f.Add(layer(f, entry{Header: tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}}, entry{Header: tar.Header{Name: "l/x"}}))
	f.Fuzz(func(t *testing.T, l []byte) {
		dir, _, _ := unpack(t, l, imagefs.Options{Shift: 100_000, MaxBytes: 1 << 20, MaxEntries: 100})
		left, err := os.ReadDir(filepath.Dir(dir))
		if err != nil || len(left) != 1 {
			t.Errorf("beside the folder: %v, %v", left, err)
		}
	})
}

// BenchmarkUnpack is about a layer of 2,000 files of 32 KiB.
func BenchmarkUnpack(b *testing.B) {
	needRoot(b)
	var entries []entry
	for i := range 2000 {
		entries = append(entries, entry{Header: tar.Header{Name: fmt.Sprintf("usr/lib/d%d/f%d", i%50, i)}, body: strings.Repeat(fmt.Sprint("line ", i, "\n"), 32<<10/10)})
	}
	l := layer(b, entries...)
	b.SetBytes(int64(len(l)))
	for b.Loop() {
		dir := b.TempDir()
		if _, err := imagefs.Unpack(b.Context(), dir, bytes.NewReader(l), imagefs.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
