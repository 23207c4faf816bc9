//go:build unix && !linux

package supervise

import "errors"

// CanBackground reports whether [Process.SetPriority] works here.
func CanBackground() bool { return false }

func setPriority(int, Priority) error { return errors.ErrUnsupported }
