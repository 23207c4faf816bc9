//go:build !linux

package keeper

// Name is the only argument of the process that [Main] runs in.
const Name = "selvage-keeper"

// IsKeeper reports whether these arguments are those of a keeper: never here.
func IsKeeper([]string) bool { return false }

// Main is the keeper, which needs Linux.
func Main() int { return 1 }
