package sandbox

import (
	"encoding/json"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// probe goes through the same steps as Main and reports each failure rather than
// end at the first. Then it tries what must not work.
func probe(s *Spec) int {
	r := Report{PID: os.Getpid(), LandlockABI: landlockABI()}
	if s.Namespaces {
		r.Network = failure("reach loopback", checkNetwork())
		r.Root = failure("make a root of its own", makeRoot(s))
		if r.Root == nil {
			r.Root = failure("hide the machine's files", checkRoot())
		}
	}
	r.Privileges = failure("give up privileges", errors.Join(dropPrivileges(), checkPrivileges()))
	if r.LandlockABI > 0 && r.Root == nil {
		r.Landlock = failure("apply Landlock", errors.Join(restrictFiles(s), checkLandlock()))
	}
	r.Seccomp = failure("filter system calls", filterCalls(false))
	if r.Seccomp == nil {
		r.Seccomp = failure("filter system calls", checkFilter())
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return failed("report", err)
	}
	return 0
}

// checkNetwork connects to loopback: refused means that it is there.
func checkNetwork() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil // not even a socket
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
	if errors.Is(err, unix.ENETUNREACH) {
		return nil
	}
	return errors.New("loopback answers")
}

func checkRoot() error {
	for _, path := range []string{"/etc", "/proc/self/status", "/proc/1", "/sys", "/home", "/usr"} {
		if err := unix.Access(path, unix.F_OK); !errors.Is(err, unix.ENOENT) {
			return errors.New(path + " is there")
		}
	}
	fd, err := unix.Open("/made", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err == nil {
		_ = unix.Close(fd)
		return errors.New("the root is writable")
	}
	return nil
}

// checkLandlock opens the root folder, which no rule allows.
func checkLandlock() error {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
		return errors.New("a folder that is not allowed can be read")
	}
	return nil
}

func checkFilter() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
		return errors.New("a network socket could be made")
	}
	if err := unix.Unshare(unix.CLONE_NEWUTS); !errors.Is(err, unix.EPERM) {
		return errors.New("a namespace could be made")
	}
	return nil
}
