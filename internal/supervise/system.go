package supervise

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/sandbox"
)

// System returns the folders and files of this machine that its own programs
// need to run: what the distribution installed, nothing that belongs to a user,
// no configuration but of the loader and of TLS. The folders of path count too:
// that which holds a bin folder outside of /usr, say.
func System(path []string) []sandbox.Bind {
	var out []sandbox.Bind
	add := func(p string) {
		if _, err := os.Stat(p); err == nil && !slices.ContainsFunc(out, func(b sandbox.Bind) bool { return within(p, b.Target) }) {
			out = append(out, sandbox.Bind{Source: p, Target: p})
		}
	}
	// Where /bin is a link to /usr/bin, the folder it leads to is mounted at /bin.
	for _, p := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		add(p)
	}
	for _, p := range []string{"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl", "/etc/pki", "/etc/ca-certificates"} {
		add(p)
	}
	for _, p := range path {
		if filepath.Base(p) == "bin" {
			p = filepath.Dir(p)
		}
		if p != "/" && filepath.IsAbs(p) {
			add(p)
		}
	}
	return out
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
