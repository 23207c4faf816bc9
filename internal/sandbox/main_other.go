//go:build !linux

package sandbox

import (
	"fmt"
	"os"
)

// Main says that there is no confinement on this system.
func Main(string) int {
	fmt.Fprintf(os.Stderr, "%s: processes are confined on Linux only\n", Name) //nolint:errcheck // nobody else to tell
	return ExitFailed
}
