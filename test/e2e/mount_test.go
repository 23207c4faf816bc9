package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// mounted is a file system of its own in a mount namespace of its own: no
// other process sees it, and nothing is left of it after the test. It works
// for root and, with a user namespace, for others.
type mounted struct {
	dir    string   // its path, for commands that prefix runs
	prefix []string // runs a command in the namespace
	root   string   // the path of dir for this process
}

// mount makes a tmpfs with the given options.
func mount(t *testing.T, options string) mounted {
	t.Helper()
	dir := t.TempDir()
	flags, enter := "-m", []string{"-m"}
	if os.Geteuid() != 0 {
		flags, enter = "-Urm", []string{"-m", "-U", "--preserve-credentials"}
	}
	const script = `mount -t tmpfs -o "$1" none "$2" && echo mounted && read -r _`
	holder := exec.Command("unshare", flags, "sh", "-c", script, "sh", options, dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	holder.Stderr = said
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		holder.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "mounted\n" {
		t.Fatalf("no mount namespace to be had (on a system that keeps user namespaces from users, run the tests as root): %q, %v\n%s", line, err, said)
	}
	pid := strconv.Itoa(holder.Process.Pid)
	return mounted{
		dir:    dir,
		prefix: append([]string{"nsenter", "-t", pid}, enter...),
		root:   filepath.Join("/proc", pid, "root", dir),
	}
}
