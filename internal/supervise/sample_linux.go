package supervise

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sample reads proc_pid_statm(5), whose third field is the part of the resident
// memory that belongs to files, and the main thread's schedstat (kernel,
// Documentation/scheduler/sched-stats.rst), whose first two fields are its time on
// a processor and its time in the queue for one, in nanoseconds. A kernel without scheduler statistics shows none:
// then the time of all threads must do.
func sample(pid int) (Sample, error) {
	id := strconv.Itoa(pid)
	statm, err := os.ReadFile("/proc/" + id + "/statm") //nolint:gosec // a process id
	if err != nil {
		return Sample{}, err
	}
	fields := bytes.Fields(statm)
	if len(fields) < 3 {
		return Sample{}, fmt.Errorf("unexpected format of /proc/%d/statm", pid)
	}
	resident, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return Sample{}, fmt.Errorf("unexpected format of /proc/%d/statm: %w", pid, err)
	}
	shared, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil {
		return Sample{}, fmt.Errorf("unexpected format of /proc/%d/statm: %w", pid, err)
	}
	s := Sample{Anon: (resident - shared) * int64(os.Getpagesize())}
	if stat, err := os.ReadFile("/proc/" + id + "/task/" + id + "/schedstat"); err == nil { //nolint:gosec // a process id
		var ran, waited int64
		if n, err := fmt.Sscan(string(stat), &ran, &waited); err == nil && n == 2 && ran > 0 {
			s.CPU, s.Waited = time.Duration(ran), time.Duration(waited)
			return s, nil
		}
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &ts); err != nil {
		return Sample{}, os.NewSyscallError("clock_gettime", err)
	}
	s.CPU = time.Duration(ts.Nano())
	return s, nil
}
