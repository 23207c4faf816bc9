package supervise_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// prey is what a confined process tries to reach; all of it exists.
type prey struct {
	Port     int    `json:"port"`     // of a listener on loopback
	Path     string `json:"path"`     // of another tenant's socket
	Abstract string `json:"abstract"` // of another tenant's abstract socket
	File     string `json:"file"`     // a key file of the platform
	PID      int    `json:"pid"`      // the platform's process
	Token    string `json:"token"`    // in the platform's environment
	// Gentle leaves out what would change the machine if it worked.
	Gentle bool `json:"gentle"`
}

// harsh are the attempts that are only made by a process that is confined: the
// first three change this machine for whoever is root.
func harsh() []string {
	return []string{"mount", "trace the platform", "user namespace", "become another user"}
}

// attempts are the ways out, each of which returns nil when it led out.
func attempts(p *prey) map[string]func() error {
	dial := func(network, addr string) func() error {
		return func() error {
			c, err := net.Dial(network, addr)
			if err != nil {
				return err
			}
			return c.Close()
		}
	}
	socket := func(family, kind int) func() error {
		return func() error {
			fd, err := unix.Socket(family, kind, 0)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}
	}
	read := func(path string) func() error {
		return func() error { _, err := os.ReadFile(path); return err }
	}
	loopback := &unix.SockaddrInet4{Port: p.Port, Addr: [4]byte{127, 0, 0, 1}}
	return map[string]func() error{
		"loopback port":           dial("tcp", "127.0.0.1:"+strconv.Itoa(p.Port)),
		"loopback by raw calls":   func() error { return connectRaw(unix.AF_INET, loopback) },
		"metadata address":        dial("udp", "169.254.169.254:80"),
		"netlink":                 socket(unix.AF_NETLINK, unix.SOCK_RAW),
		"host of the machine":     socket(unix.AF_VSOCK, unix.SOCK_STREAM),
		"kernel crypto":           socket(unix.AF_ALG, unix.SOCK_SEQPACKET),
		"other tenant's socket":   dial("unix", p.Path),
		"other tenant's abstract": dial("unix", "@"+p.Abstract),
		"key file":                read(p.File),
		"passwd":                  read("/etc/passwd"),
		"symlink out":             read("link"),
		"parent folder":           read("../" + filepath.Base(filepath.Dir(p.File)) + "/" + filepath.Base(p.File)),
		"platform's environment": func() error {
			b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
			if err == nil && !strings.Contains(string(b), p.Token) {
				return errors.New("another process's")
			}
			return err
		},
		"signal to the platform": func() error { return unix.Kill(p.PID, 0) },
		"list of processes": func() error {
			entries, err := os.ReadDir("/proc")
			if err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == strconv.Itoa(p.PID) }) {
				return errors.New("not in it")
			}
			return err
		},
		"trace the platform":  func() error { return unix.PtraceSeize(p.PID) },
		"replace a door":      func() error { return os.WriteFile("door.sock", nil, 0o600) },
		"user namespace":      func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":               func() error { return unix.Mount("none", ".", "tmpfs", 0, "") },
		"become another user": func() error { return unix.Setresuid(12345, 12345, 12345) },
		"an open descriptor":  openDescriptor,
		"core dumps": func() error {
			var l unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max == 0 {
				return errors.New("none")
			}
			return nil
		},
	}
}

func connectRaw(family int, to unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

// openDescriptor looks for one that leads to a file or a folder of the machine.
func openDescriptor() error {
	for fd := 3; fd < 1000; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			continue
		}
		if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFREG || kind == unix.S_IFDIR {
			return nil
		}
	}
	return errors.New("none")
}

// escape is the role of the process that tries; it says what led out.
func escape(arg string) int {
	var p prey
	if err := json.Unmarshal([]byte(arg), &p); err != nil {
		return 1
	}
	all := attempts(&p)
	for name, try := range all {
		if !slices.Contains(harsh(), name) && try() == nil {
			fmt.Println(name)
		}
	}
	if p.Gentle {
		return 0
	}
	for _, name := range harsh() { // last: some change the process
		if all[name]() == nil {
			fmt.Println(name)
		}
	}
	return 0
}

// TestEscapes runs a program that tries to get out, confined by all layers and by
// fewer. Without any it must get nearly everywhere, or the test proves nothing.
func TestEscapes(t *testing.T) {
	everywhere := []string{
		"an open descriptor", "core dumps", "key file", "list of processes", "loopback by raw calls", "loopback port", "metadata address",
		"netlink", "other tenant's abstract", "other tenant's socket", "parent folder", "passwd", "platform's environment",
		"replace a door", "signal to the platform", "symlink out",
	}
	for _, tt := range []struct {
		name string
		keep supervise.Keep
		out  []string // what is expected to lead out
		some bool     // more may
	}{
		{"all layers", supervise.Keep{Namespaces: true, Seccomp: true, Landlock: true}, nil, false},
		{"without seccomp", supervise.Keep{Namespaces: true, Landlock: true}, []string{"host of the machine", "kernel crypto", "netlink", "user namespace"}, true},
		{"namespaces alone", supervise.Keep{Namespaces: true}, []string{"host of the machine", "netlink", "user namespace"}, true},
		{"without namespaces", supervise.Keep{Seccomp: true, Landlock: true}, []string{"other tenant's socket"}, false},
		{"nothing", supervise.Keep{None: true}, everywhere, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tryEscapes(t, tt.keep)
			for _, name := range tt.out {
				if !slices.Contains(got, name) && !tt.some {
					t.Errorf("%q is expected to lead out and does not: tighten the documentation", name)
				}
			}
			if tt.keep.None {
				for _, name := range everywhere {
					if name != "an open descriptor" && name != "core dumps" && !slices.Contains(got, name) {
						t.Errorf("even without confinement %q does not lead out: the attempt is broken", name)
					}
				}
				return
			}
			for _, name := range got {
				if !slices.Contains(tt.out, name) {
					t.Errorf("%q leads out", name)
				}
			}
		})
	}
}

func tryEscapes(t *testing.T, keep supervise.Keep) []string {
	t.Helper()
	i, err := supervise.Probe(t.Context(), "/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if !i.Confined() {
		t.Fatalf("this machine makes no namespaces: %s", i.Missing())
	}
	base, err := os.MkdirTemp("", "se") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	p, dir := bait(t, base)
	p.Gentle = keep.None
	arg, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := newLines(), newLines()
	spec := supervise.Spec{
		Path: self(t), Args: []string{string(arg)}, Env: []string{"SUPERVISE_ROLE=escape"}, Dir: dir, Stdout: out.add, Stderr: errs.add,
	}
	if !keep.None {
		files, env, err := supervise.Closure(t.Context(), self(t), "/program")
		if err != nil {
			t.Fatal(err)
		}
		if keep.Namespaces {
			spec.Env = append(spec.Env, env...)
		}
		spec.Sandbox = &supervise.Sandbox{Isolation: i.With(keep), Program: "/program", ReadOnly: files}
	}
	proc, err := supervise.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, proc)
	if proc.Err() != nil {
		t.Fatalf("%v: %s", proc.Err(), errs.got)
	}
	slices.Sort(out.got)
	return out.got
}

// bait makes what the process tries to reach, and its private folder.
func bait(t *testing.T, base string) (p *prey, dir string) {
	t.Helper()
	dir, other, keys := base+"/mine", base+"/other", base+"/keys"
	for _, d := range []string{dir, other, keys} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p = &prey{
		Path: other + "/egress.sock", Abstract: "selvage-test-" + filepath.Base(base), File: keys + "/master",
		PID: os.Getpid(), Token: "PATH=",
	}
	if err := os.WriteFile(p.File, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.File, dir+"/link"); err != nil {
		t.Fatal(err)
	}

	listen := func(network, addr string) net.Listener {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		var done sync.WaitGroup
		done.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		})
		t.Cleanup(func() { l.Close(); done.Wait() })
		return l
	}
	tcp, ok := listen("tcp", "127.0.0.1:0").Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no port")
	}
	p.Port = tcp.Port
	listen("unix", p.Path)
	listen("unix", "@"+p.Abstract)
	return p, dir
}
