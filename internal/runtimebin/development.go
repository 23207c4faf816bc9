//go:build !embed_workerd

package runtimebin

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func embedded() (string, bool) { return "", false }

func forget() {}

// development finds workerd in the source tree that this build was made from.
// A build with -trimpath does not know its source tree.
func development() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", errNoDevelopment
	}
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "64"
	}
	name := filepath.Join(filepath.Dir(file), "..", "..", "tools", "node_modules", "@cloudflare", "workerd-"+runtime.GOOS+"-"+arch, "bin", "workerd")
	if _, err := os.Stat(name); err != nil {
		return "", fmt.Errorf("%w; this development build looks for it in its source tree: run npm --prefix tools ci there", err)
	}
	return name, nil
}
