package supervise

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CanBackground reports whether [Process.SetPriority] works here: whoever leaves
// SCHED_IDLE needs CAP_SYS_NICE or a limit of the nice value that allows 0, which
// is 20 in the kernel's terms (sched(7), getrlimit(2); LimitNICE=+0 in a unit of
// systemd).
func CanBackground() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NICE, &limit) == nil && limit.Cur >= 20 {
		return true
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	return unix.Capget(&header, &caps[0]) == nil && caps[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
}

// setPriority sets the class of every thread. One that is born meanwhile inherits
// the class of the thread that starts it.
func setPriority(pid int, to Priority) error {
	if !CanBackground() {
		return errors.ErrUnsupported
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if to == Background {
		attr.Policy = unix.SCHED_IDLE
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return os.NewSyscallError("sched_setattr", err)
		}
	}
	return nil
}
