package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/store"
)

// OperatorTokenFile is where the operator's token of a data directory lies.
func OperatorTokenFile(dataDir string) string { return filepath.Join(dataDir, "operator-token") }

// RollOperatorToken gives the operator of a stopped platform a new token. The
// error is a *RunningError when the platform runs; a data directory that does
// not exist is not made.
func RollOperatorToken(ctx context.Context, dataDir string) (secret string, err error) {
	if _, err := os.Stat(filepath.Join(dataDir, "selvage.db")); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is no data directory; name one with --data", dataDir)
	}
	st, err := store.Open(dataDir) //nolint:contextcheck // migrations are not to be cut short
	if errors.Is(err, store.ErrLocked) {
		return "", &RunningError{Dir: dataDir}
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }() //nolint:contextcheck // as above
	a, err := accounts.New(ctx, st, accounts.Options{})
	if err != nil {
		return "", err
	}
	secret, err = a.RollOperatorToken(ctx)
	return secret, errors.Join(err, a.Close())
}
