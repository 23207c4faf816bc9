package sandbox

import (
	"os"
	"syscall"
)

// becomeUser gives up being root for a user that owns nothing on this machine but
// what it is given. The kernel then counts its processes, which it does not do
// for root (RLIMIT_NPROC, setrlimit(2)).
func becomeUser(id int) error {
	// The package syscall's own, which change all threads.
	if err := syscall.Setgroups([]int{}); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(id, id, id); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", syscall.Setresuid(id, id, id))
}
