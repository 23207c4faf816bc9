//go:build unix && !linux

package memory

// largePages does nothing: this system decides by itself.
func largePages([]byte) {}
