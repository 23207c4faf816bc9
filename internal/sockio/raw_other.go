//go:build !linux

package sockio

import (
	"errors"
	"os"
)

const supported = false

func (c *Conn) sendFile([]byte, *os.File, int64, int64, func()) error { return errors.ErrUnsupported }
