package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// container is one, from its create until its remove.
type container struct {
	m      *keeper
	id     string
	o      *Create
	bundle string

	doing sync.Mutex // create, start and remove, one after the other

	mu      sync.Mutex
	pid     int // of its first process; 0 before it is there
	gone    bool
	mounted bool
	known   bool // to runc

	ended chan struct{} // closed when the first process has been waited for
}

// create mounts the container's root and has runc make its first process, which
// waits.
func (c *container) create(ctx context.Context, stdout, stderr *os.File) error {
	c.doing.Lock()
	defer c.doing.Unlock()
	if err := os.Mkdir(c.bundle, 0o711); err != nil { //nolint:gosec // as in prepare
		return err
	}
	rootfs := filepath.Join(c.bundle, "rootfs")
	if err := os.Mkdir(rootfs, 0o700); err != nil {
		return err
	}
	if err := mountOverlay(rootfs, c.o.Lower, c.o.Upper, c.o.Work); err != nil {
		return err
	}
	c.mounted = true
	config, err := withUser(c.o.Config, rootfs, c.o.User)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(c.bundle, "config.json"), config); err != nil {
		return err
	}
	for name, content := range c.o.Files {
		if err := writeFile(filepath.Join(c.bundle, filepath.Base(name)), []byte(content)); err != nil {
			return err
		}
	}
	c.known = true
	pidFile := filepath.Join(c.bundle, "pid")
	if err := c.run(ctx, stdout, stderr, "create", "--bundle", c.bundle, "--pid-file", pidFile, c.id); err != nil {
		return err
	}
	pid, err := readPid(pidFile)
	if err != nil {
		return err
	}
	c.pid = pid
	go c.wait(pid)
	return nil
}

// mountOverlay stacks folders at target.
func mountOverlay(target string, lower []string, upper, work string) error {
	var options strings.Builder
	options.WriteString("lowerdir=")
	for i, dir := range slices.Backward(lower) { // overlayfs wants the highest first
		options.WriteString(dir)
		if i > 0 {
			options.WriteString(":")
		}
	}
	fmt.Fprintf(&options, ",upperdir=%s,workdir=%s", upper, work)
	// What mount(2) takes of options is one page.
	if options.Len() >= os.Getpagesize() {
		return &StartError{Text: fmt.Sprintf("the image has %d layers, which is more than this machine can stack: build it with fewer", len(lower))}
	}
	if err := unix.Mount("overlay", target, "overlay", unix.MS_NODEV, options.String()); err != nil {
		return fmt.Errorf("mount the image's layers: %w", err)
	}
	return nil
}

// writeFile writes what others may read, on the keeper's own tmpfs.
func writeFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // the container's users read it
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func readPid(path string) (int, error) {
	text, err := os.ReadFile(path) //nolint:gosec // runc wrote it into our folder
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// run runs a command of runc that ends by itself. What runc has to say of an error
// is for the user when it is about the container's program.
func (c *container) run(ctx context.Context, stdout, stderr *os.File, args ...string) error {
	p, log, err := c.runc(ctx, nil, stdout, stderr, args...)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(log) }()
	<-p.Done()
	if p.Err() == nil {
		return nil
	}
	return explain(log, args[0], p.Err())
}

// runc starts a command of runc, which logs to a file.
func (c *container) runc(ctx context.Context, stdin, stdout, stderr *os.File, args ...string) (*supervise.Process, string, error) {
	log := filepath.Join(c.bundle, "log-"+strconv.FormatUint(c.m.number(), 10))
	spec := supervise.Spec{
		Path: c.m.runc, Args: append([]string{"--root", filepath.Join(c.m.dir, state), "--log", log, "--log-format", "json"}, args...),
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Dir: c.bundle, StdoutFile: stdout, StderrFile: stderr,
	}
	if stdin != nil {
		spec.Stdin = stdin
	}
	p, err := supervise.Start(ctx, spec)
	return p, log, err
}

// explain reads the last error of runc's log.
func explain(log, command string, cause error) error {
	text, err := os.ReadFile(log) //nolint:gosec // runc wrote it into our folder
	if err != nil {
		return fmt.Errorf("runc %s: %w", command, cause)
	}
	said := ""
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Level string `json:"level"`
			Msg   string `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			said = entry.Msg
		}
	}
	if said == "" {
		return fmt.Errorf("runc %s: %w", command, cause)
	}
	if user, ok := usersFault(said); ok {
		return &StartError{Text: user}
	}
	return fmt.Errorf("runc %s: %s", command, said)
}

// usersFault tells the errors of runc that are about the program to be run from
// those about the machine: they come from its look for the executable and from
// execve.
func usersFault(said string) (string, bool) {
	i := strings.Index(said, `exec: "`)
	if i < 0 {
		i = strings.Index(said, `exec /`)
	}
	if i < 0 {
		return "", false
	}
	text := said[i:]
	switch {
	case strings.HasSuffix(text, "exec format error"):
		text += ": it is a program for another processor, or a script without an interpreter line"
	case strings.Contains(text, "no such file") || strings.Contains(text, "not found"):
		text += ": the image has no such program"
	}
	return text, true
}

// start lets the first process go on to the program. It waits at a FIFO that runc
// has made for whoever starts it (libcontainer's exec.fifo); to open that is all
// that "runc start" does.
func (c *container) start() error {
	c.doing.Lock()
	defer c.doing.Unlock()
	fifo := filepath.Join(c.m.dir, state, c.id, "exec.fifo")
	if err := openGate(fifo, c.ended); err != nil {
		return err
	}
	return os.Remove(fifo)
}

func (c *container) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// wait waits for the first process, which became a child of the keeper when runc
// ended.
func (c *container) wait(pid int) {
	var status unix.WaitStatus
	// Until it is waited for its id is taken, so that a signal cannot hit another.
	err := waitExited(pid)
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	if err == nil {
		for {
			_, err = unix.Wait4(pid, &status, 0, nil)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	r := reply{ID: c.id}
	switch {
	case err != nil:
		r.Error = err.Error()
	case status.Signaled():
		r.Code = signalled + int(status.Signal())
	default:
		r.Code = status.ExitStatus()
	}
	r.OOM = r.Code == signalled+int(unix.SIGKILL) && killedForMemory(c.o.Counter)
	close(c.ended)
	c.m.say(r)
}

// signalled is what a shell adds to the number of the signal that ended a process.
const signalled = 128

func waitExited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// killedForMemory reports whether the kernel has ended a process of the group.
func killedForMemory(counter string) bool {
	text, err := os.ReadFile(counter) //nolint:gosec // the platform named it
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "oom_kill" {
			return fields[1] != "0"
		}
	}
	return false
}

func (c *container) signal(sig unix.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.pid == 0 {
		return errors.New("the container is not running")
	}
	return os.NewSyscallError("kill", unix.Kill(c.pid, sig))
}

// remove ends what runs and takes away what is there. It can be tried again.
func (c *container) remove(ctx context.Context) error {
	c.doing.Lock()
	defer c.doing.Unlock()
	if c.pid != 0 {
		_ = c.signal(unix.SIGKILL) // it has ended already, or does now
		<-c.ended
	}
	if c.known {
		// It also removes the control groups.
		if err := c.run(ctx, nil, nil, "delete", "--force", c.id); err != nil {
			return err
		}
		c.known = false
	}
	if c.mounted {
		if err := unix.Unmount(filepath.Join(c.bundle, "rootfs"), unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
		c.mounted = false
	}
	if err := os.RemoveAll(c.bundle); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
