package runc

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// users is how many user ids a container has.
const users = 65536

// The parts of a bundle's config.json that are used here (OCI runtime
// specification, version 1.0.2).
type bundle struct {
	Version  string  `json:"ociVersion"`
	Hostname string  `json:"hostname"`
	Root     root    `json:"root"`
	Process  process `json:"process"`
	Mounts   []mount `json:"mounts"`
	Linux    linux   `json:"linux"`
}

type root struct {
	Path string `json:"path"`
}

type process struct {
	Args            []string            `json:"args"`
	Env             []string            `json:"env"`
	Cwd             string              `json:"cwd"`
	NoNewPrivileges bool                `json:"noNewPrivileges"`
	Capabilities    map[string][]string `json:"capabilities"`
	Rlimits         []rlimit            `json:"rlimits"`
	OOMScoreAdj     int                 `json:"oomScoreAdj"`
}

type rlimit struct {
	Type string `json:"type"`
	Hard uint64 `json:"hard"`
	Soft uint64 `json:"soft"`
}

type mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

type linux struct {
	CgroupsPath   string      `json:"cgroupsPath"`
	UIDMappings   []mapping   `json:"uidMappings"`
	GIDMappings   []mapping   `json:"gidMappings"`
	Namespaces    []namespace `json:"namespaces"`
	Resources     resources   `json:"resources"`
	Seccomp       *seccomp    `json:"seccomp"`
	MaskedPaths   []string    `json:"maskedPaths"`
	ReadonlyPaths []string    `json:"readonlyPaths"`
}

type mapping struct {
	ContainerID int `json:"containerID"`
	HostID      int `json:"hostID"`
	Size        int `json:"size"`
}

type namespace struct {
	Type string `json:"type"`
}

type resources struct {
	Devices []device       `json:"devices"`
	Memory  *memoryLimit   `json:"memory,omitempty"`
	CPU     *processorTime `json:"cpu,omitempty"`
	PIDs    *pidsLimit     `json:"pids,omitempty"`
}

type device struct {
	Allow  bool   `json:"allow"`
	Access string `json:"access"`
}

type memoryLimit struct {
	Limit int64 `json:"limit"`
	Swap  int64 `json:"swap"` // memory and swap together
}

type processorTime struct {
	Quota  int64  `json:"quota"`  // µs of each period
	Period uint64 `json:"period"` // µs
}

type pidsLimit struct {
	Limit int64 `json:"limit"`
}

const (
	period   = 100_000 // µs
	minQuota = 1_000   // what the kernel takes at least

	// Short of memory the kernel ends containers before workers, and these before the
	// platform.
	oomScore = 800

	maxOpenFiles = 65536

	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// openFiles is how many a process may have open: no more than the platform may, as
// only the machine's root can go beyond that.
func openFiles() uint64 {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return maxOpenFiles
	}
	return min(own.Max, maxOpenFiles)
}

// capabilities are those that a container's root has over its own namespaces: to
// own files, change users, listen below 1024. Not in it: anything over the network
// or mounts.
func capabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP",
		"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

// masked is what of /proc and /sys a container does not see, readonly what it
// cannot change.
func masked() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/kpagecount", "/proc/kpageflags",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/proc/config.gz",
		"/sys/firmware", "/sys/devices/virtual/powercap", "/sys/kernel", "/sys/block", "/sys/module",
	}
}

func readonly() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// mounts of every container; hosts and resolv.conf lie in the bundle.
func mounts(dir string) []mount {
	file := func(name string) mount {
		return mount{"/etc/" + name, "bind", dir + "/" + name, []string{"bind", "ro", "nosuid", "nodev", "noexec"}}
	}
	return []mount{
		{"/proc", "proc", "proc", []string{"nosuid", "noexec", "nodev"}},
		{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "noexec", "strictatime", "mode=755", "size=64k"}},
		{"/dev/pts", "devpts", "devpts", []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{"/dev/shm", "tmpfs", "shm", []string{"nosuid", "noexec", "nodev", "mode=1777", "size=64m"}},
		{"/dev/mqueue", "mqueue", "mqueue", []string{"nosuid", "noexec", "nodev"}},
		{"/sys", "sysfs", "sysfs", []string{"nosuid", "noexec", "nodev", "ro"}},
		file("hosts"), file("hostname"), file("resolv.conf"),
	}
}

// config makes a container's config.json; dir is where its bundle will be.
func config(s *driver.Spec, dir, cgroup string, shift int) (json.RawMessage, error) {
	caps := capabilities()
	nofile := openFiles()
	ids := []mapping{{ContainerID: 0, HostID: shift, Size: users}}
	b := bundle{
		Version: "1.0.2", Hostname: s.Hostname, Root: root{Path: "rootfs"},
		Process: process{
			Args: s.Args, Env: environment(s.Env), Cwd: cmp.Or(s.Dir, "/"), NoNewPrivileges: true,
			Capabilities: map[string][]string{"bounding": caps, "effective": caps, "permitted": caps},
			Rlimits: []rlimit{
				{Type: "RLIMIT_NOFILE", Hard: nofile, Soft: nofile}, {Type: "RLIMIT_CORE"},
			},
			OOMScoreAdj: oomScore,
		},
		Mounts: mounts(dir),
		Linux: linux{
			CgroupsPath: cgroup, UIDMappings: ids, GIDMappings: ids,
			Resources: resources{Devices: []device{{Allow: false, Access: "rwm"}}},
			Seccomp:   callFilter(), MaskedPaths: masked(), ReadonlyPaths: readonly(),
		},
	}
	for _, kind := range []string{"user", "pid", "mount", "network", "uts", "ipc", "cgroup"} {
		b.Linux.Namespaces = append(b.Linux.Namespaces, namespace{kind})
	}
	r := &s.Resources
	if r.Memory > 0 {
		b.Linux.Resources.Memory = &memoryLimit{Limit: r.Memory, Swap: r.Memory}
	}
	if r.MilliCPU > 0 {
		b.Linux.Resources.CPU = &processorTime{Quota: max(quota(r.MilliCPU), period), Period: period} // see settle
	}
	if r.PIDs > 0 {
		b.Linux.Resources.PIDs = &pidsLimit{r.PIDs}
	}
	out, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("runc: config of a container: %w", err)
	}
	return out, nil
}

// quota is the processor time of a period, in µs.
func quota(milliCPU int64) int64 { return max(milliCPU*period/1000, minQuota) }

// environment puts a PATH before what the image and the user say; of two of one
// name the last counts.
func environment(env []string) []string {
	out := make([]string, 0, len(env)+2)
	at := make(map[string]int)
	for _, v := range append([]string{defaultPath, "HOME=/root"}, env...) {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.ContainsRune(v, 0) {
			continue
		}
		if i, seen := at[name]; seen {
			out[i] = v
			continue
		}
		at[name] = len(out)
		out = append(out, v)
	}
	return out
}

// files are those that a bundle has beside its config.
func files(s *driver.Spec) map[string]string {
	hosts := "127.0.0.1 localhost\n::1 localhost\n"
	if s.Hostname != "" {
		hosts += "127.0.0.1 " + s.Hostname + "\n"
	}
	resolv := ""
	if s.Nameserver != "" {
		resolv = "nameserver " + s.Nameserver + "\noptions timeout:2 attempts:2\n"
	}
	return map[string]string{"hosts": hosts, "hostname": s.Hostname + "\n", "resolv.conf": resolv}
}
