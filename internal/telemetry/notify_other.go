//go:build !linux

package telemetry

import "errors"

// monotonicUsec has no meaning where there is no systemd.
func monotonicUsec() (int64, error) { return 0, errors.ErrUnsupported }
