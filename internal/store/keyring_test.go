package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/store"
)

func TestSeal(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	context := []byte("account/script/NAME")
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		a, err := st.Keys.Seal([]byte(plain), context)
		if err != nil {
			t.Fatal(err)
		}
		b, err := st.Keys.Seal([]byte(plain), context)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a, b) || len(a) != len(plain)+41 {
			t.Errorf("sealing twice gives %d and %d bytes, equal %v", len(a), len(b), bytes.Equal(a, b))
		}
		if got, err := st.Keys.Open(a, context); err != nil || string(got) != plain {
			t.Errorf("Open: %q %v", got, err)
		}
		if _, err := st.Keys.Open(a, []byte("account/script/OTHER")); !errors.Is(err, store.ErrSealed) {
			t.Errorf("in another context: %v", err)
		}
		for i := range min(len(a), 60) {
			changed := bytes.Clone(a)
			changed[i] ^= 1
			if _, err := st.Keys.Open(changed, context); !errors.Is(err, store.ErrSealed) {
				t.Errorf("byte %d changed: %v", i, err)
			}
			if _, err := st.Keys.Open(a[:i], context); !errors.Is(err, store.ErrSealed) {
				t.Errorf("cut to %d bytes: %v", i, err)
			}
		}
	}
}

func TestMAC(t *testing.T) {
	st, other := open(t, t.TempDir()), open(t, t.TempDir())
	defer closeStore(t, st)
	defer closeStore(t, other)
	mac := st.Keys.MAC("a", []byte("data"))
	if len(mac) != 32 || !bytes.Equal(mac, st.Keys.MAC("a", []byte("data"))) {
		t.Errorf("MAC of %d bytes is not the same twice", len(mac))
	}
	for name, differs := range map[string][]byte{
		"purpose": st.Keys.MAC("b", []byte("data")),
		"data":    st.Keys.MAC("a", []byte("Data")),
		"key":     other.Keys.MAC("a", []byte("data")),
	} {
		if bytes.Equal(mac, differs) {
			t.Errorf("another %s gives the same MAC", name)
		}
	}
}

func TestMasterKeyProblems(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"gone":      {os.Remove, "restore the file from a backup"},
		"readable":  {func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		"other key": {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("ab", 32)), 0o600) }, "was written with key"},
		"cut":       {func(p string) error { return os.Truncate(p, 20) }, "is not 64 hex digits"},
		"no hex":    {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("zz", 32)), 0o600) }, "is not 64 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			closeStore(t, open(t, dir))
			path := filepath.Join(dir, "keys", "master")
			if err := test.spoil(path); err != nil {
				t.Fatal(err)
			}
			_, err := store.Open(dir)
			var keyErr *store.KeyError
			if !errors.As(err, &keyErr) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want a KeyError with %q", err, test.want)
			}
		})
	}
}

func FuzzSealedOpen(f *testing.F) {
	st := open(f, f.TempDir())
	f.Cleanup(func() { closeStore(f, st) })
	sealed, err := st.Keys.Seal([]byte("secret"), []byte("ctx"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Add(make([]byte, 41))
	f.Fuzz(func(t *testing.T, data []byte) {
		if plain, err := st.Keys.Open(data, []byte("ctx")); err == nil && !bytes.Equal(data, sealed) {
			t.Errorf("opened %x to %q", data, plain)
		}
	})
}
