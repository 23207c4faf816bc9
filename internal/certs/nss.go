package certs

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// nssName is that of the root in a database.
const nssName = "selvage local"

// ErrNoCertutil says that the program which changes the trust stores of browsers is not here.
var ErrNoCertutil = errors.New("certutil is not installed: it is in the package libnss3-tools (Debian, Ubuntu), nss-tools (Fedora) or nss (Arch)")

// NSS is a database of roots as Chromium (~/.pki/nssdb) and Firefox (a profile's folder) have on Linux.
type NSS struct{ dir, certutil string }

// OpenNSS returns the database in a folder, which need not be there yet. The error is [ErrNoCertutil] where nothing
// can change it.
func OpenNSS(dir string) (NSS, error) {
	path, err := exec.LookPath("certutil")
	if err != nil {
		return NSS{}, ErrNoCertutil
	}
	return NSS{dir, path}, nil
}

func (n NSS) command(args ...string) []string {
	return append([]string{n.certutil, "-d", "sql:" + n.dir}, args...)
}

// Trust makes the browser trust the root in a file (PEM), in place of an earlier one.
func (n NSS) Trust(ctx context.Context, file string) error {
	if !exists(filepath.Join(n.dir, "cert9.db")) {
		if err := fsx.MkdirAll(n.dir, 0o700); err != nil {
			return err
		}
		if err := run(ctx, n.command("-N", "--empty-password")); err != nil {
			return err
		}
	}
	if err := n.Distrust(ctx); err != nil {
		return err
	}
	return run(ctx, n.command("-A", "-t", "C,,", "-n", nssName, "-i", file))
}

// Distrust takes it away again. That it is not there is no error.
func (n NSS) Distrust(ctx context.Context) error {
	if !exists(filepath.Join(n.dir, "cert9.db")) {
		return nil
	}
	for {
		err := run(ctx, n.command("-D", "-n", nssName))
		if err != nil && strings.Contains(err.Error(), "could not find certificate named") {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
