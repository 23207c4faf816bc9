//go:build unix && !linux

package supervise

import "errors"

// CanBackground reports whether [Process.Background] works here.
func CanBackground() bool { return false }

const inForeground, inBackground = 0, 1

func setClass(int, uint32) error { return errors.ErrUnsupported }
