//go:build unix && !linux

package supervise

import "errors"

// CanBackground reports whether [Process.Background] works here.
func CanBackground() bool { return false }

func background(int, bool) error { return errors.ErrUnsupported }
