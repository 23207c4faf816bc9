package cli_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/mattn/go-sqlite3"
)

// spawn runs the built binary and waits for its ready line.
func spawn(t *testing.T, data string, env []string, args ...string) (cmd *exec.Cmd, stderr *lockedBuffer) {
	t.Helper()
	cmd = exec.Command(binary, append([]string{"up", "--json", "--data", data, "--port", "0", "--api-port", "0"}, args...)...)
	cmd.Env = environ(t.TempDir(), env...)
	stderr = &lockedBuffer{}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("up said %q: %v\n%s", line, err, stderr)
	}
	return cmd, stderr
}

// exit sends a signal and returns the exit code.
func exit(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) int {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the platform does not end")
	}
	return cmd.ProcessState.ExitCode()
}

// logged waits for a text: a child's stderr comes through a pipe.
func logged(t *testing.T, stderr *lockedBuffer, want string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(stderr.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("the log lacks %s:\n%s", want, stderr)
			return
		}
	}
}

func TestSignalsAndServiceManager(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	heard := func(want string) {
		t.Helper()
		manager.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 1024)
		for {
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("the service manager never hears %s: %v", want, err)
			}
			if strings.Contains(string(b[:n]), want) {
				return
			}
		}
	}
	file := filepath.Join(dir, "selvage.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("drain_timeout = \"5s\"\n")
	cmd, stderr := spawn(t, filepath.Join(dir, "data"), []string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=200000"}, "--config", file)
	heard("READY=1")
	heard("WATCHDOG=1")

	write("drain_timeout = \"6s\"\ndomain = \"other.example\"\n")
	hangup := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		heard("RELOADING=1")
		heard("READY=1")
	}
	hangup()
	for _, want := range []string{`"option":"drain_timeout","was":"5s","now":"6s"`, `"option":"domain"`, "needs a restart"} {
		logged(t, stderr, want)
	}
	write("drain_timeot = 1\n")
	hangup()
	logged(t, stderr, file+":1")
	if code := exit(t, cmd, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, stderr)
	}
	heard("STOPPING=1")
}

func TestKillLeavesNothingInTheWay(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cmd, _ := spawn(t, data, nil)
	exit(t, cmd, syscall.SIGKILL)
	oneLine(t, run(t, "status", "--data", data), 1, "no platform runs")
	cmd, stderr := spawn(t, data, nil)
	if code := exit(t, cmd, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d after SIGINT\n%s", code, stderr)
	}
}

// TestDrainIsBounded: a client that does not finish does not hold the stop
// beyond its bound.
func TestDrainIsBounded(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cmd, stderr := spawn(t, data, nil, "--drain-timeout", "300ms")
	for _, url := range []string{edgeOf(t, data), apiOf(t, data)} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n") // a head that does not end
	}
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	if code := exit(t, cmd, syscall.SIGTERM); code != 0 || time.Since(began) > 5*time.Second {
		t.Errorf("exit code %d after %v\n%s", code, time.Since(began), stderr)
	}
}

func edgeOf(t *testing.T, data string) string { t.Helper(); return urlOf(t, data, "edge_url") }

func apiOf(t *testing.T, data string) string { t.Helper(); return urlOf(t, data, "api_url") }

func urlOf(t *testing.T, data, field string) string {
	t.Helper()
	_, rest, _ := strings.Cut(tree(t, data)["/platform.json"], `"`+field+`": "`)
	url, _, _ := strings.Cut(rest, `"`)
	return url
}

func TestNewerDataDirectory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start(t, data).stop()
	db, err := sql.Open("sqlite3", filepath.Join(data, "selvage.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, data)
	oneLine(t, run(t, "up", "--data", data, "--port", "0", "--api-port", "0"), 1, "newer release", data)
	oneLine(t, run(t, "token", "roll", "operator", "--data", data), 1, "newer release")
	if diff := cmp.Diff(before, tree(t, data)); diff != "" {
		t.Errorf("the data directory has changed: %s", diff)
	}
}
