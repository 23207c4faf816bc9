// Command pack compresses a workerd program into the blob that the release
// binary carries.
//
//	go run ./internal/runtimebin/pack WORKERD OUT.zst
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/runtimebin"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack WORKERD OUT.zst")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(program, out string) error {
	// The version also proves that the program is one for this system.
	version, err := runtimebin.Version(context.Background(), program)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	f, err := fsx.CreateTemp(filepath.Dir(out), filepath.Base(out))
	if err != nil {
		return err
	}
	m := runtimebin.Meta{Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH}
	if err := errors.Join(runtimebin.Pack(f, data, m), f.Chmod(0o644)); err != nil {
		return errors.Join(err, fsx.FS{}.Discard(f))
	}
	return fsx.Commit(f, out)
}
