package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/certs"
)

// rootFile is where the root of the local certificate authority is.
func rootFile(data string) string { return filepath.Join(data, "certs", "local", certs.RootFile) }

// LocalRoot returns the root of a data directory's local certificate authority as PEM.
func LocalRoot(data string) ([]byte, error) {
	root, err := os.ReadFile(rootFile(data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no local certificate authority in %s; start the platform once with --tls-mode local", data)
	}
	if err != nil {
		return nil, fmt.Errorf("read the root of the local certificate authority: %w", err)
	}
	return root, nil
}

// Trust makes this machine trust the local certificate authority.
func Trust(ctx context.Context, data string) error {
	root, err := LocalRoot(data)
	if err != nil {
		return err
	}
	store, err := certs.FindTrustStore("/", rootFile(data))
	if err != nil {
		return err
	}
	return administrators(store.Trust(ctx, root))
}

// Distrust takes the root away again.
func Distrust(ctx context.Context, data string) error {
	store, err := certs.FindTrustStore("/", rootFile(data))
	if err != nil {
		return err
	}
	return administrators(store.Distrust(ctx))
}

// TrustNSS makes the browser whose database of roots is in a folder trust the local certificate authority.
func TrustNSS(ctx context.Context, data, dir string) error {
	if _, err := LocalRoot(data); err != nil {
		return err
	}
	db, err := certs.OpenNSS(dir)
	if err != nil {
		return err
	}
	return db.Trust(ctx, rootFile(data))
}

// DistrustNSS takes the root away again.
func DistrustNSS(ctx context.Context, dir string) error {
	db, err := certs.OpenNSS(dir)
	if err != nil {
		return err
	}
	return db.Distrust(ctx)
}

func administrators(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the trust store is the administrator's: run this with sudo, or use --print (%w)", err)
	}
	return err
}
