package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// dropPrivileges gives up every capability and the ways to get one back.
func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl no_new_privs", err)
	}
	for c := range 64 {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // past the last capability of this kernel
		}
		if errors.Is(err, unix.EPERM) {
			break // an unprivileged user, who has none; no_new_privs keeps it so
		}
		if err != nil {
			return os.NewSyscallError("prctl capbset", err)
		}
	}
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) { // before Linux 4.3 there are none
		return os.NewSyscallError("prctl ambient", err)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return os.NewSyscallError("capset", unix.Capset(&hdr, &none[0]))
}

var errCapabilities = errors.New("capabilities are left")

// checkPrivileges looks whether dropPrivileges worked.
func checkPrivileges() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if have != ([2]unix.CapUserData{}) {
		return errCapabilities
	}
	nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && nnp != 1 {
		err = errors.New("no_new_privs is not set")
	}
	return err
}
