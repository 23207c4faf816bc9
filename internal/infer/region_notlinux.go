//go:build unix && !linux

package infer

// largePages does nothing: this system decides by itself.
func largePages([]byte) {}
