package supervise

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine changes how a process is started so that it begins in new namespaces.
func (i *Isolation) confine(attr *syscall.SysProcAttr) {
	if !i.namespaces {
		return
	}
	attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if !i.user {
		return
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	// It is root in there, for as long as it takes to make its mounts, and the
	// platform's own user outside.
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
}

// needsUserNamespace reports whether this process lacks the capability to make
// the other namespaces (CAP_SYS_ADMIN), as root does in most containers.
func needsUserNamespace() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return true
	}
	return have[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0
}

// namespaceRemedy says what keeps an unprivileged process from making namespaces
// here, in the order in which it is found in the wild.
func namespaceRemedy() string {
	read := func(path string) string {
		b, err := os.ReadFile(path) //nolint:gosec // one of those below
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	switch {
	case exists("/.dockerenv") || exists("/run/.containerenv"):
		return "in a container, start it with --security-opt seccomp=packaging/docker/seccomp.json --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
	case read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "AppArmor keeps unprivileged programs from it: install packaging/apparmor/selvage as /etc/apparmor.d/selvage and run apparmor_parser -r on it"
	case read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return "sysctl kernel.unprivileged_userns_clone=1"
	case read("/proc/sys/user/max_user_namespaces") == "0":
		return "sysctl user.max_user_namespaces=10000"
	}
	return "allow unprivileged user namespaces, or run the platform with CAP_SYS_ADMIN"
}
