//go:build !amd64

package blocks

func usable() []set { return []set{portable()} }
