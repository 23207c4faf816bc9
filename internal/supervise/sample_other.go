//go:build unix && !linux

package supervise

import "errors"

func sample(int) (Sample, error) { return Sample{}, errors.ErrUnsupported }
