package server

import (
	"os"
	"strconv"
	"strings"
)

// residentMemory reads the second field of proc_pid_statm(5), in pages. It is
// not ok where there is no such file.
func residentMemory() (bytes int64, ok bool) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
