package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxFiles = 65536 // open descriptors: one per request in flight, and per subrequest
	// The kernel, short of memory, ends a worker before the platform.
	oomScore = 500
)

// Main confines this process as the helper's argument says and becomes the
// program. It returns only to say that this failed: the exit code.
func Main(arg string) int {
	// What follows is per thread, and so is what execve keeps of it.
	runtime.LockOSThread()
	var s Spec
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		return failed("read the specification", err)
	}
	if s.Probe {
		return probe(&s)
	}
	for _, step := range steps(&s) {
		if err := step.run(); err != nil {
			return failed(step.name, err)
		}
	}
	return failed("run "+s.Path, syscall.Exec(s.Path, s.Args, s.Env)) //nolint:gosec // the platform's own program
}

func failed(step string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %s: %v\n", Name, step, err)
	return ExitFailed
}

type step struct {
	name string
	run  func() error
}

// steps are in the only order that works: mounts need capabilities, dropping the
// bounding set needs one, seccomp and Landlock need no_new_privs, and the filter
// forbids some of what comes before it.
func steps(s *Spec) []step {
	out := []step{{"set resource limits", func() error { return limitResources(&s.Limits) }}}
	if s.Loopback > 0 {
		out = append(out, step{"bring up loopback", func() error { return loopback(s) }})
	}
	if s.Namespaces {
		out = append(out, step{"make a root of its own", func() error { return makeRoot(s) }})
	} else {
		out = append(out, step{"enter the private folder", func() error { return unix.Chdir(s.Dir) }})
	}
	if s.User > 0 {
		out = append(out, step{"become another user", func() error { return becomeUser(s.User) }})
	}
	out = append(out, step{"give up privileges", dropPrivileges})
	if s.Landlock {
		out = append(out, step{"apply Landlock", func() error { return restrictFiles(s) }})
	}
	return append(out,
		step{"close descriptors", func() error { return closeFrom(3 + s.Files) }},
		step{"die with the platform", func() error {
			// The kernel forgets it when credentials change.
			return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		}},
		step{"filter system calls", func() error {
			if !s.Seccomp {
				return nil
			}
			return filterCalls(s.Loopback > 0)
		}},
	)
}

func limitResources(l *Limits) error {
	// Of no use to the security of anything, so it may fail: where /proc/self is not ours to write.
	if f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString(strconv.Itoa(oomScore))
		_ = f.Close()
	}
	if err := syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return os.NewSyscallError("setrlimit core", err)
	}
	for _, r := range []struct {
		what  string
		id    int
		value int64
	}{
		{"nproc", unix.RLIMIT_NPROC, l.Processes},
		{"data", unix.RLIMIT_DATA, l.Memory},
		{"fsize", unix.RLIMIT_FSIZE, l.File},
		{"cpu", unix.RLIMIT_CPU, l.CPU},
	} {
		if r.value <= 0 {
			continue
		}
		if err := syscall.Setrlimit(r.id, &syscall.Rlimit{Cur: uint64(r.value), Max: uint64(r.value)}); err != nil {
			return os.NewSyscallError("setrlimit "+r.what, err)
		}
	}
	if l.Nice > 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, l.Nice); err != nil {
			return os.NewSyscallError("setpriority", err)
		}
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return os.NewSyscallError("getrlimit nofile", err)
	}
	now.Max = min(now.Max, maxFiles)
	now.Cur = now.Max
	// The package syscall's own, which also keeps execve from restoring the old one.
	return os.NewSyscallError("setrlimit nofile", syscall.Setrlimit(unix.RLIMIT_NOFILE, &now))
}

// closeFrom marks all descriptors from first on to be closed by execve.
func closeFrom(first int) error {
	err := unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		// Before Linux 5.11. Whatever this program opened itself is marked already.
		return nil
	}
	return os.NewSyscallError("close_range", err)
}
