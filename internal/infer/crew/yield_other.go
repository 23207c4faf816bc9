//go:build !linux

package crew

import "runtime"

// yield lets another goroutine have the processor.
func yield() { runtime.Gosched() }
