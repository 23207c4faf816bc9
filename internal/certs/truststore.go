package certs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// TrustStore is where a system keeps the roots that its programs trust.
type TrustStore struct {
	// File is where a root goes; "" where the command itself takes it.
	File string
	// Add and Remove are the commands that make the system look again: a program and its arguments.
	Add, Remove []string
}

// ErrNoTrustStore says that it is not known how this system is told of a root.
var ErrNoTrustStore = errors.New("it is not known how to add a root to this system's trust store; do it by hand with what --print gives")

// FindTrustStore returns the system's, whose folders are below root ("/" but for tests). Certificate is the file
// that holds the root to add.
func FindTrustStore(root, certificate string) (TrustStore, error) {
	if runtime.GOOS == "darwin" {
		const security = "/usr/bin/security"
		return TrustStore{
			Add:    []string{security, "add-trusted-cert", "-d", "-r", "trustRoot", "-k", "/Library/Keychains/System.keychain", certificate},
			Remove: []string{security, "remove-trusted-cert", "-d", certificate},
		}, nil
	}
	for _, s := range []struct{ dir, name, program, add, remove string }{
		{"usr/local/share/ca-certificates", "selvage-local.crt", "usr/sbin/update-ca-certificates", "", "--fresh"},             // Debian, Ubuntu, Alpine, SUSE
		{"etc/pki/ca-trust/source/anchors", "selvage-local.pem", "usr/bin/update-ca-trust", "", ""},                            // Fedora, RHEL
		{"etc/ca-certificates/trust-source/anchors", "selvage-local.crt", "usr/bin/trust", "extract-compat", "extract-compat"}, // Arch
	} {
		dir, program := filepath.Join(root, s.dir), filepath.Join(root, s.program)
		if !exists(dir) || !exists(program) {
			continue
		}
		command := func(arg string) []string {
			if arg == "" {
				return []string{program}
			}
			return []string{program, arg}
		}
		return TrustStore{File: filepath.Join(dir, s.name), Add: command(s.add), Remove: command(s.remove)}, nil
	}
	return TrustStore{}, ErrNoTrustStore
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Trust makes the system trust a root, given as PEM.
func (s TrustStore) Trust(ctx context.Context, root []byte) error {
	if s.File != "" {
		if err := fsx.WriteFile(s.File, root, 0o644); err != nil {
			return err
		}
	}
	return run(ctx, s.Add)
}

// Distrust takes it away again. That it is not there is no error.
func (s TrustStore) Distrust(ctx context.Context) error {
	if s.File != "" {
		if err := fsx.Remove(s.File); err != nil {
			return err
		}
	}
	return run(ctx, s.Remove)
}

// run runs a command to its end. Its error has what the command said.
func run(ctx context.Context, command []string) error {
	var mu sync.Mutex
	var said []string
	keep := func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		if len(said) < 20 {
			said = append(said, string(line))
		}
	}
	p, err := supervise.Start(ctx, supervise.Spec{
		Path: command[0], Args: command[1:], Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + os.Getenv("HOME")}, Stdout: keep, Stderr: keep,
	})
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		<-p.Done()
		return ctx.Err()
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(said, "; "))
	}
	return nil
}
