package runc

import (
	_ "embed"
	"runtime"
	"strings"
)

// allowedCalls are the names of system calls that every program may make: what
// programs and languages use to compute, to work with their own files, sockets,
// memory and processes. Not in it: what makes or enters namespaces and mounts,
// loads code into the kernel (modules, BPF, kexec), its keys, rings and counters
// (io_uring, perf, userfaultfd), and what changes the machine (clocks, swap, reboot).
//
//go:embed seccomp.txt
var allowedCalls string

type seccomp struct {
	DefaultAction   string         `json:"defaultAction"`
	DefaultErrnoRet int            `json:"defaultErrnoRet"`
	Architectures   []string       `json:"architectures"`
	Syscalls        []seccompCalls `json:"syscalls"`
}

type seccompCalls struct {
	Names    []string     `json:"names"`
	Action   string       `json:"action"`
	ErrnoRet *int         `json:"errnoRet,omitempty"`
	Args     []seccompArg `json:"args,omitempty"`
}

type seccompArg struct {
	Index    int    `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"`
}

const (
	actAllow = "SCMP_ACT_ALLOW"
	actErrno = "SCMP_ACT_ERRNO"

	errnoPERM  = 1
	errnoNOSYS = 38

	vsock = 40 // a way to the hypervisor
)

// cloneNamespaces are the flags of clone(2) that make namespaces.
const cloneNamespaces = 0x7e020000

// callFilter returns the filter.
func callFilter() *seccomp {
	noCall := errnoNOSYS
	s := &seccomp{
		DefaultAction: actErrno, DefaultErrnoRet: errnoPERM,
		Syscalls: []seccompCalls{
			{Names: strings.Fields(allowedCalls), Action: actAllow},
			{Names: []string{"clone"}, Action: actAllow, Args: []seccompArg{{Index: 0, Value: cloneNamespaces, Op: "SCMP_CMP_MASKED_EQ"}}},
			// Its flags are out of a filter's sight; without it the C library uses clone.
			{Names: []string{"clone3"}, Action: actErrno, ErrnoRet: &noCall},
			{Names: []string{"socket"}, Action: actAllow, Args: []seccompArg{{Index: 0, Value: vsock, Op: "SCMP_CMP_NE"}}},
		},
	}
	// The personalities of Linux, of the same with fixed addresses, and the question for it.
	for _, p := range []uint64{0, 8, 0x20000, 0x20008, 0xffffffff} {
		s.Syscalls = append(s.Syscalls, seccompCalls{Names: []string{"personality"}, Action: actAllow, Args: []seccompArg{{Index: 0, Value: p, Op: "SCMP_CMP_EQ"}}})
	}
	switch runtime.GOARCH {
	case "amd64":
		s.Architectures = []string{"SCMP_ARCH_X86_64"}
	case "arm64":
		s.Architectures = []string{"SCMP_ARCH_AARCH64"}
	}
	return s
}
