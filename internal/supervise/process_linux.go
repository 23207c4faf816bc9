package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ownTree is what Spec.OwnTree says.
func ownTree(attr *syscall.SysProcAttr) { attr.Cloneflags |= unix.CLONE_NEWPID | unix.CLONE_NEWNS }

// waitExit blocks until the process has exited but leaves it to be reaped, so
// that its id cannot be reused while its group is killed. It returns false when
// it cannot do that.
func waitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// usage asks the process's clock for the processor time, which unlike the ticks
// in proc_pid_stat(5) is exact, and proc_pid_statm(5) for the memory.
func usage(pid int) (rssBytes int64, cpu time.Duration, err error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &ts); err != nil {
		return 0, 0, os.NewSyscallError("clock_gettime", err)
	}
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, 0, fmt.Errorf("unexpected format of /proc/%d/statm", pid)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("unexpected format of /proc/%d/statm: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), time.Duration(ts.Nano()), nil
}

// processClock is what clock_getcpuclockid(3) returns: MAKE_PROCESS_CPUCLOCK(pid,
// CPUCLOCK_SCHED) of the kernel's posix-timers_types.h.
func processClock(pid int) int32 {
	const clockSched = 2
	return int32(^pid<<3 | clockSched) //nolint:gosec // process ids have 22 bits
}
