package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// escape tries ways out and prints a line for each that works.
func escape() {
	try := func(name string, err error) {
		if err == nil {
			fmt.Println("ESCAPED", name)
		}
	}
	try("mount tmpfs", syscall.Mount("x", "/tmp", "tmpfs", 0, ""))
	try("mount proc", syscall.Mount("proc", "/tmp", "proc", 0, ""))
	try("unshare user", syscall.Unshare(syscall.CLONE_NEWUSER))
	try("unshare mount", syscall.Unshare(syscall.CLONE_NEWNS))
	try("chroot up", os.Chdir("/proc/1/root/../../host"))
	for _, name := range []string{"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/release_agent", "/proc/sys/vm/panic_on_oom"} {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("x")
		}
		try("write "+name, err)
	}
	for _, name := range []string{"/proc/kcore", "/dev/mem", "/dev/kmsg", "/proc/keys", "/proc/timer_list"} {
		b := make([]byte, 1)
		f, err := os.Open(name)
		if err == nil {
			_, err = f.Read(b)
		}
		try("read "+name, err)
	}
	_, _, errno := syscall.Syscall(321, 0, 0, 0) // bpf on amd64, nothing that works on others
	if errno == 0 || errno == syscall.EFAULT || errno == syscall.EINVAL {
		fmt.Println("ESCAPED bpf", errno)
	}
	if err := syscall.Mknod("/sda", syscall.S_IFBLK|0o600, 8<<8); err == nil {
		_, err = os.Open("/sda")
		try("open a block device", err)
	}
	for _, to := range []string{"169.254.169.254:80", "10.0.0.1:80", "1.1.1.1:53", "127.0.0.1:22"} {
		c, err := net.DialTimeout("tcp", to, 300*time.Millisecond)
		if err == nil {
			_ = c.Close()
		}
		try("dial "+to, err)
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			fmt.Println("ESCAPED sees process", pid)
		}
	}
	_, err := net.Dial("unix", "@/tmp/dbus")
	try("abstract socket", err)
	fmt.Println("tried all")
}
