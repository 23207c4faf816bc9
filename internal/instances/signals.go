package instances

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ParseSignal reads a signal as Docker and images write it: "SIGTERM", "TERM" or "15".
func ParseSignal(s string) (syscall.Signal, bool) {
	const most = 64
	if n, err := strconv.Atoi(s); err == nil {
		return syscall.Signal(n), n > 0 && n <= most
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	return sig, sig != 0
}

// stopSignal is that of the image's STOPSIGNAL, or SIGTERM.
func (in *Instance) stopSignal() syscall.Signal {
	if sig, ok := ParseSignal(in.image.config.Config.StopSignal); ok {
		return sig
	}
	return syscall.SIGTERM
}
