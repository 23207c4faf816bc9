package runtimebin

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// packed returns a blob of a small program.
func packed(t *testing.T, program string, change func(*Meta)) string {
	t.Helper()
	m := Meta{Version: "1.20261117.1", OS: runtime.GOOS, Arch: runtime.GOARCH}
	if change != nil {
		change(&m)
	}
	var b bytes.Buffer
	if err := Pack(&b, []byte(program), m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const script = "#!/bin/sh\necho workerd 2026-11-17\n"

func TestExtractOnceAndAgainWhenDamaged(t *testing.T) {
	dir, blob := t.TempDir(), packed(t, script, nil)
	path, fresh, err := extract(dir, blob)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if !strings.HasPrefix(filepath.Base(path), "workerd-1.20261117.1-") {
		t.Errorf("extracted to %s", path)
	}
	if v, err := Version(t.Context(), path); err != nil || v != "2026-11-17" {
		t.Errorf("version %q, %v", v, err)
	}
	again := func(name string, wantFresh bool) {
		t.Helper()
		_, fresh, err := extract(dir, blob)
		if err != nil || fresh != wantFresh {
			t.Errorf("%s: written again %v (want %v), %v", name, fresh, wantFresh, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != script {
			t.Errorf("%s: content %q, %v", name, data, err)
		}
	}
	again("untouched", false)
	if err := os.Chtimes(path, time.Now(), time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	again("touched", false)
	if err := os.WriteFile(path, []byte(strings.Replace(script, "echo", "exit", 1)), 0o755); err != nil {
		t.Fatal(err)
	}
	again("changed, same size", true)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	again("not executable", true)
	if err := os.WriteFile(path+".json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again("damaged record", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again("gone", true)
}

func TestExtractRemovesOtherReleases(t *testing.T) {
	dir := t.TempDir()
	old, _, err := extract(dir, packed(t, script, func(m *Meta) { m.Version = "1.0.0" }))
	if err != nil {
		t.Fatal(err)
	}
	left, err := fsx.CreateTemp(filepath.Dir(old), "workerd")
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	if _, _, err := extract(dir, packed(t, script, nil)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(old))
	if err != nil || len(entries) != 2 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestDamagedBlob(t *testing.T) {
	good := packed(t, strings.Repeat(script, 100), nil)
	for name, blob := range map[string]string{
		"empty":       "",
		"not packed":  strings.Repeat("x", 100),
		"cut":         good[:len(good)-9],
		"other bytes": good[:len(good)/2] + "\x00\x01\x02" + good[len(good)/2+3:],
		"other hash":  strings.Replace(good, `"sha256":"`+good[strings.Index(good, `"sha256":"`)+10:][:4], `"sha256":"0000`, 1),
		"evil name":   strings.Replace(good, "1.20261117.1", "1/../../../xx", 1),
		"other system": packed(t, script, func(m *Meta) {
			m.OS = "plan9"
		}),
	} {
		dir := t.TempDir()
		if path, _, err := extract(dir, blob); err == nil {
			t.Errorf("%s: extracted to %s", name, path)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "runtime", "*")); len(names) != 0 {
			t.Errorf("%s: left %v", name, names)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "runtime", ".*")); len(names) != 0 {
			t.Errorf("%s: left %v", name, names)
		}
	}
}

func TestVersionOfOtherThings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, perm os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), perm); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"missing":        filepath.Join(dir, "nosuch"),
		"folder":         dir,
		"not executable": write("a", script, 0o600),
		"fails":          write("b", "#!/bin/sh\nexit 3\n", 0o700),
		"other program":  write("c", "#!/bin/sh\necho hello world\n", 0o700),
		"talks on":       write("d", "#!/bin/sh\necho workerd 1\necho more\n", 0o700),
		"not a program":  write("e", "\x7fELF", 0o700),
	} {
		if _, err := Describe(t.Context(), dir, path); err == nil || !strings.Contains(err.Error(), "--workerd") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevelopmentBuildFindsItsOwn(t *testing.T) {
	if _, ok, _ := Embedded(); ok {
		t.Skip("this build has workerd inside")
	}
	p, err := Find(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Origin != OriginDevelopment || p.Version != "1.20261117.1" {
		t.Errorf("found %+v", p)
	}
	if err := Verify(t.TempDir()); err != nil {
		t.Errorf("verify without anything embedded: %v", err)
	}
	if _, err := Extract(t.Context(), t.TempDir()); err == nil {
		t.Error("extracted what is not there")
	}
}

func TestCheckFile(t *testing.T) {
	dir, blob := t.TempDir(), packed(t, script, nil)
	m, err := readMeta(strings.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkFile(target(dir, m), m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the extraction: %v", err)
	}
	if _, _, err := extract(dir, blob); err != nil {
		t.Fatal(err)
	}
	if err := checkFile(target(dir, m), m); err != nil {
		t.Error(err)
	}
}
