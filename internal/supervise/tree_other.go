//go:build !linux

package supervise

import "errors"

func tree(int) (TreeUsage, error) { return TreeUsage{}, errors.ErrUnsupported }
