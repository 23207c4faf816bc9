package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h); both architectures are
// little-endian, so the low word of an argument comes first.
const (
	dataNr   = 0
	dataArch = 4
	dataArg0 = 16
)

const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// denied are the system calls that are answered with EPERM: what makes or enters
// namespaces and mounts, looks into other processes, loads code into the kernel,
// changes the machine, or is a large part of the kernel that a JavaScript runtime
// has no use for.
func denied() []uint32 {
	return append([]uint32{
		// Namespaces, mounts, roots.
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
		unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
		unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_TREE_ATTR, unix.SYS_STATMOUNT, unix.SYS_LISTMOUNT,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_MKNODAT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
		// Other processes.
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP,
		unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
		// Code in the kernel, and its rings and keys.
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
		unix.SYS_IO_URING_REGISTER, unix.SYS_IO_SETUP, unix.SYS_IO_SUBMIT, unix.SYS_IO_DESTROY, unix.SYS_IO_CANCEL,
		unix.SYS_IO_GETEVENTS, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_INIT_MODULE,
		unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_FANOTIFY_INIT, unix.SYS_VMSPLICE,
		unix.SYS_LOOKUP_DCOOKIE, unix.SYS_LSM_SET_SELF_ATTR,
		// The machine.
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
		unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG,
		unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL, unix.SYS_PERSONALITY,
		// System V IPC and POSIX queues: others' are in another namespace, but the code is old.
		unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_MQ_OPEN,
	}, deniedHere()...)
}

// filter returns the program: calls of a foreign architecture end the process,
// clone3, whose flags a filter cannot see, does not exist (the C library then uses
// clone), clone makes no namespaces, sockets are unix sockets, and with
// inet those of IP. Everything else that denied does not name is allowed.
func filter(inet bool) []unix.SockFilter { //nolint:revive // one of two filters
	stmt := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	jump := func(code uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: code, Jt: yes, Jf: no, K: k}
	}
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		eq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ge   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		bits = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K

		allow = unix.SECCOMP_RET_ALLOW
		kill  = unix.SECCOMP_RET_KILL_PROCESS
		eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		// What a kernel without the family, or without the call, says.
		noFamily = unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
		noCall   = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		// x32 calls on amd64 have this bit and other numbers behind it.
		x32 = 0x40000000
	)
	p := []unix.SockFilter{
		stmt(load, dataArch),
		jump(eq, auditArch, 1, 0),
		stmt(ret, kill),
		stmt(load, dataNr),
		jump(ge, x32, 0, 1),
		stmt(ret, kill),

		jump(eq, unix.SYS_CLONE3, 0, 1),
		stmt(ret, noCall),

		jump(eq, unix.SYS_CLONE, 0, 4),
		stmt(load, dataArg0),
		jump(bits, namespaceFlags, 0, 1),
		stmt(ret, eperm),
		stmt(ret, allow),
	}
	families := []uint32{unix.AF_UNIX}
	if inet {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	p = append(p, jump(eq, unix.SYS_SOCKET, 0, uint8(2+2*len(families))), stmt(load, dataArg0)) //nolint:gosec // three at most
	for _, family := range families {
		p = append(p, jump(eq, family, 0, 1), stmt(ret, allow))
	}
	p = append(p, stmt(ret, noFamily))
	for _, nr := range denied() {
		p = append(p, jump(eq, nr, 0, 1), stmt(ret, eperm))
	}
	return append(p, stmt(ret, allow))
}

// filterCalls installs the filter. It needs no_new_privs.
func filterCalls(inet bool) error {
	p := filter(inet)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]} //nolint:gosec // some hundred instructions
	// With TSYNC: the Go runtime has threads, and one that slipped by would be one too many.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // the call takes a pointer
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}
