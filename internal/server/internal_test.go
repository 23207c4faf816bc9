package server

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRateMeter(t *testing.T) {
	n := uint64(0)
	r := rateMeter{count: func() uint64 { return n }}
	at := time.Unix(0, 0)
	r.tick(at)
	n = 50
	r.tick(at.Add(5 * time.Second))
	if total, perSecond := r.read(); total != 50 || perSecond != 10 {
		t.Errorf("%d, %v/s", total, perSecond)
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{
		"0.0.0.0:1": "127.0.0.1:1", "[::]:2": "127.0.0.1:2", "127.0.0.2:3": "127.0.0.2:3", "[::1]:4": "[::1]:4", "192.0.2.1:5": "192.0.2.1:5",
	} {
		addr, err := net.ResolveTCPAddr("tcp", in)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", in, got, want)
		}
	}
}

func TestRunFolderOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	private := filepath.Join(dir, "private")
	for range 2 {
		if err := makePrivate(private); err != nil {
			t.Fatal(err)
		}
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(private, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{open, link, file} {
		if err := makePrivate(name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
