package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// containerEnv makes a child of the test a container: it names the calls that the
// kernel is to refuse there.
const containerEnv = "SELVAGE_E2E_CONTAINER"

// dockerCaps are what root has in a container of Docker, by default.
var dockerCaps = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID, unix.CAP_SETUID,
	unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// dockerDenies are the calls of Docker's own profile that our sandbox needs, which it
// refuses whoever lacks CAP_SYS_ADMIN.
var dockerDenies = []uintptr{unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_SETHOSTNAME}

// seccompProfile is the format of Docker's --security-opt seccomp=FILE, as far as
// ours uses it; another field is an error.
type seccompProfile struct {
	DefaultAction string `json:"defaultAction"`
	Syscalls      []struct {
		Names    []string `json:"names"`
		Action   string   `json:"action"`
		ErrnoRet *int     `json:"errnoRet"`
		Comment  string   `json:"comment"`
	} `json:"syscalls"`
}

// otherArchitectures are calls that amd64 does not have; Docker passes them over.
var otherArchitectures = []string{"vm86", "vm86old", "stime"}

var callsByName = map[string]uintptr{
	"acct": unix.SYS_ACCT, "add_key": unix.SYS_ADD_KEY, "bpf": unix.SYS_BPF, "clock_adjtime": unix.SYS_CLOCK_ADJTIME, "clock_settime": unix.SYS_CLOCK_SETTIME,
	"create_module": unix.SYS_CREATE_MODULE, "delete_module": unix.SYS_DELETE_MODULE, "finit_module": unix.SYS_FINIT_MODULE,
	"get_kernel_syms": unix.SYS_GET_KERNEL_SYMS, "init_module": unix.SYS_INIT_MODULE, "ioperm": unix.SYS_IOPERM, "iopl": unix.SYS_IOPL, "kcmp": unix.SYS_KCMP,
	"kexec_file_load": unix.SYS_KEXEC_FILE_LOAD, "kexec_load": unix.SYS_KEXEC_LOAD, "keyctl": unix.SYS_KEYCTL, "lookup_dcookie": unix.SYS_LOOKUP_DCOOKIE,
	"modify_ldt": unix.SYS_MODIFY_LDT, "move_pages": unix.SYS_MOVE_PAGES, "name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "nfsservctl": unix.SYS_NFSSERVCTL,
	"open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "perf_event_open": unix.SYS_PERF_EVENT_OPEN, "query_module": unix.SYS_QUERY_MODULE, "quotactl": unix.SYS_QUOTACTL,
	"reboot": unix.SYS_REBOOT, "request_key": unix.SYS_REQUEST_KEY, "settimeofday": unix.SYS_SETTIMEOFDAY, "swapoff": unix.SYS_SWAPOFF, "swapon": unix.SYS_SWAPON,
	"_sysctl": unix.SYS__SYSCTL, "sysfs": unix.SYS_SYSFS, "syslog": unix.SYS_SYSLOG, "uselib": unix.SYS_USELIB, "userfaultfd": unix.SYS_USERFAULTFD, "ustat": unix.SYS_USTAT,
	"io_uring_setup": unix.SYS_IO_URING_SETUP, "io_uring_enter": unix.SYS_IO_URING_ENTER, "io_uring_register": unix.SYS_IO_URING_REGISTER,
}

// profileCalls reads packaging/docker/seccomp.json.
func profileCalls(t *testing.T) []uintptr {
	t.Helper()
	f, err := os.Open("../../packaging/docker/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	var p seccompProfile
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.DefaultAction != "SCMP_ACT_ALLOW" {
		t.Fatalf("the default action is %s", p.DefaultAction)
	}
	var calls []uintptr
	for _, s := range p.Syscalls {
		if s.Action != "SCMP_ACT_ERRNO" || s.ErrnoRet == nil || *s.ErrnoRet != int(unix.EPERM) {
			t.Fatalf("the action of %v is %s", s.Names, s.Action)
		}
		for _, name := range s.Names {
			nr, known := callsByName[name]
			if !known && !slices.Contains(otherArchitectures, name) {
				t.Errorf("there is no system call %s", name)
			}
			if known {
				calls = append(calls, nr)
			}
		}
	}
	return calls
}

// TestDockerProfile runs the platform's doctor as root of a container does: with the
// capabilities that Docker leaves, under a filter. With the profile that we ship
// all layers hold; with what Docker refuses by itself those that need namespaces
// do not, or this test would show nothing.
func TestDockerProfile(t *testing.T) {
	if calls, child := os.LookupEnv(containerEnv); child {
		t.Fatal(becomeContained(calls))
	}
	ours := profileCalls(t)
	for name, c := range map[string]struct {
		calls []uintptr
		held  bool
	}{"the shipped profile": {ours, true}, "Docker's own": {slices.Concat(ours, dockerDenies), false}} {
		t.Run(name, func(t *testing.T) {
			var list []string
			for _, nr := range c.calls {
				list = append(list, fmt.Sprint(nr))
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDockerProfile$", binary(t))
			cmd.Env = append(os.Environ(), containerEnv+"="+strings.Join(list, ","))
			out, err := cmd.Output() // of doctor, which fails where something does not hold
			var checks []struct {
				Check string `json:"check"`
				Text  string `json:"text"`
			}
			if json.Unmarshal(out, &checks) != nil {
				t.Fatalf("doctor: %v\n%s", err, out)
			}
			held := make(map[string]bool)
			for _, check := range checks {
				held[strings.TrimSpace(check.Check)] = strings.HasPrefix(check.Text, "holds")
			}
			for _, layer := range []string{"files", "processes"} {
				if held[layer] != c.held {
					t.Errorf("%s holds: %v, want %v\n%s", layer, held[layer], c.held, out)
				}
			}
			for _, layer := range []string{"network", "privileges", "system calls"} { // the filter keeps a worker from the network, too
				if !held[layer] {
					t.Errorf("%s does not hold\n%s", layer, out)
				}
			}
		})
	}
}

// becomeContained gives up what a container does not have and becomes doctor. It
// returns only when it fails.
func becomeContained(calls string) error {
	runtime.LockOSThread() // what follows is of one thread, and execve keeps it
	if unix.Geteuid() == 0 {
		if err := dropCaps(); err != nil {
			return err
		}
	} else if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for nr := range strings.SplitSeq(calls, ",") {
		var k uint32
		if _, err := fmt.Sscan(nr, &k); err != nil {
			return err
		}
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: k},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	return unix.Exec(os.Args[len(os.Args)-1], []string{"selvage", "doctor", "--json"}, []string{"PATH=/usr/bin:/bin", "HOME=/tmp"})
}

// dropCaps leaves in the bounding set what Docker does; execve takes the rest away
// from root. Until then CAP_SYS_ADMIN is there, which loads a filter without
// no_new_privs, as Docker does.
func dropCaps() error {
	var keep uint64
	for _, c := range dockerCaps {
		keep |= 1 << c
	}
	for c := uintptr(0); unix.Prctl(unix.PR_CAPBSET_READ, c, 0, 0, 0) == nil && c <= unix.CAP_LAST_CAP; c++ {
		if keep&(1<<c) == 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
