package runc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// hierarchy is where control groups are on this machine.
type hierarchy struct {
	root    string
	unified bool // version 2; otherwise a folder for each controller
}

const cgroupRoot = "/sys/fs/cgroup"

func findHierarchy() (hierarchy, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		return hierarchy{}, fmt.Errorf("control groups: %w", os.NewSyscallError("statfs", err))
	}
	h := hierarchy{root: cgroupRoot, unified: st.Type == unix.CGROUP2_SUPER_MAGIC}
	if _, err := os.Stat(h.file("memory", "/", "cgroup.procs")); err != nil {
		return hierarchy{}, fmt.Errorf("control groups: %w", err)
	}
	return h, nil
}

// file returns the path of a group's file of a controller.
func (h hierarchy) file(controller, group, name string) string {
	if h.unified {
		return filepath.Join(h.root, group, name)
	}
	return filepath.Join(h.root, controller, group, name)
}

// counter is the file in which the kernel counts processes of a group that it ended
// for want of memory.
func (h hierarchy) counter(group string) string {
	if h.unified {
		return h.file("", group, "memory.events")
	}
	return h.file("memory", group, "memory.oom_control")
}

// controllers returns the folders that hold groups.
func (h hierarchy) controllers() ([]string, error) {
	if h.unified {
		return []string{h.root}, nil
	}
	entries, err := os.ReadDir(h.root)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() { // others are links to them
			out = append(out, filepath.Join(h.root, e.Name()))
		}
	}
	return out, nil
}

const (
	sweepTries = 200
	sweepPause = 10 * time.Millisecond
)

// sweep removes a group and all below it in every hierarchy. What still runs in
// it, of a platform that was killed a moment ago, is ended.
func (h hierarchy) sweep(group string) error {
	roots, err := h.controllers()
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range roots {
		failed = append(failed, removeGroup(filepath.Join(r, group)))
	}
	return errors.Join(failed...)
}

func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for range sweepTries {
		err = unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		killGroup(dir)
		time.Sleep(sweepPause)
	}
	return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
}

func killGroup(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")) //nolint:gosec // a group of ours
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// limitCPU sets the processor time that a group has.
func (h hierarchy) limitCPU(group string, quota int64) error {
	path, text := h.file("cpu", group, "cpu.cfs_quota_us"), strconv.FormatInt(quota, 10)
	if h.unified {
		path, text = h.file("", group, "cpu.max"), text+" "+strconv.Itoa(period)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // a group of ours
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// stats reads what a group takes.
func (h hierarchy) stats(group string) (driver.Stats, error) {
	if h.unified {
		return h.statsUnified(group)
	}
	var s driver.Stats
	usage, err := readNumber(h.file("memory", group, "memory.usage_in_bytes"))
	if err != nil {
		return s, fmt.Errorf("runc: %w", err)
	}
	s.Memory = usage - readField(h.file("memory", group, "memory.stat"), "total_inactive_file")
	cpu, _ := readNumber(h.file("cpuacct", group, "cpuacct.usage"))
	s.CPU = time.Duration(cpu)
	s.PIDs, _ = readNumber(h.file("pids", group, "pids.current"))
	text, _ := os.ReadFile(h.file("blkio", group, "blkio.throttle.io_service_bytes"))
	for line := range strings.Lines(string(text)) { // "8:0 Read 4096"
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		n, _ := strconv.ParseInt(f[2], 10, 64)
		switch f[1] {
		case "Read":
			s.Read += n
		case "Write":
			s.Written += n
		}
	}
	return s, nil
}

func (h hierarchy) statsUnified(group string) (driver.Stats, error) {
	var s driver.Stats
	usage, err := readNumber(h.file("", group, "memory.current"))
	if err != nil {
		return s, fmt.Errorf("runc: %w", err)
	}
	s.Memory = usage - readField(h.file("", group, "memory.stat"), "inactive_file")
	s.CPU = time.Duration(readField(h.file("", group, "cpu.stat"), "usage_usec")) * time.Microsecond
	s.PIDs, _ = readNumber(h.file("", group, "pids.current"))
	text, _ := os.ReadFile(h.file("", group, "io.stat"))
	for field := range strings.FieldsSeq(string(text)) { // "8:0 rbytes=4096 wbytes=0 …"
		key, value, _ := strings.Cut(field, "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch key {
		case "rbytes":
			s.Read += n
		case "wbytes":
			s.Written += n
		}
	}
	return s, nil
}

func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a group of ours
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// readField returns the number behind a name in lines "name number"; 0 without.
func readField(path, name string) int64 {
	text, _ := os.ReadFile(path) //nolint:gosec // a group of ours
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
