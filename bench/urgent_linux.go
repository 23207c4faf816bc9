package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// urgent lets the threads of this program, and those that they start, go before all
// others (SCHED_RR), until the function that it returns is called. A load generator
// that shares a machine with what it measures else measures how long it waits for
// the processor itself. It takes root.
func urgent() (undo func() error, err error) {
	set := func(policy, priority uint32) error {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
				return fmt.Errorf("make the load generator urgent: %w; run it as root", err)
			}
		}
		return nil
	}
	return func() error { return set(unix.SCHED_NORMAL, 0) }, set(unix.SCHED_RR, 1)
}
