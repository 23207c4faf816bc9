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

// clockTick is the unit of the times in /proc/<pid>/stat: USER_HZ, which is 100
// in the kernel's interface on every architecture Go runs on.
const clockTick = time.Second / 100

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

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

// usage reads proc_pid_stat(5), fields 14 (utime), 15 (stime) and 24 (rss).
func usage(pid int) (rssBytes int64, cpu time.Duration, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field is the program's name in parentheses and may hold
	// anything, parentheses and spaces included.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:]) // fields[0] is field 3
	if end < 0 || len(fields) < 22 {
		return 0, 0, fmt.Errorf("unexpected format of /proc/%d/stat", pid)
	}
	utime, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	stime, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	pages, err3 := strconv.ParseInt(string(fields[21]), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, fmt.Errorf("unexpected format of /proc/%d/stat: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), time.Duration(utime+stime) * clockTick, nil
}
