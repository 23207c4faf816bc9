//go:build unix && !linux

package supervise

import "syscall"

func (*Isolation) confine(*syscall.SysProcAttr) {}

func needsUserNamespace() bool { return false }

func namespaceRemedy() string { return "run the platform on Linux" }
