//go:build !amd64 && !arm64

package simd

// usable returns what this processor can run, the best first.
func usable() []kernels { return []kernels{portable()} }
