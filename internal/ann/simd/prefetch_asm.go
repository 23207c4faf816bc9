//go:build amd64 || arm64

package simd

//go:noescape
func prefetch(p *byte, n int)
