package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// runFile tells the command line where the platform of a data directory is. It
// holds no token.
const runFile = "platform.json"

// RunInfo is what platform.json holds.
type RunInfo struct {
	Info

	// CertSHA256 is the hash of the API's certificate, in hexadecimal; empty
	// without TLS.
	CertSHA256 string `json:"cert_sha256,omitempty"`
}

// ReadRunFile returns how the platform on a data directory is reached; ok is
// false when none runs: no file, or one that a dead process left.
func ReadRunFile(dataDir string) (info RunInfo, ok bool) {
	f, err := os.Open(filepath.Join(dataDir, runFile)) //nolint:gosec // the operator named it
	if err != nil {
		return RunInfo{}, false
	}
	defer f.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&info); err != nil || info.PID <= 0 {
		return RunInfo{}, false
	}
	if err := syscall.Kill(info.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return RunInfo{}, false
	}
	return info, true
}

func (s *Server) writeRunFile() error {
	info := RunInfo{Info: s.info()}
	if s.cert != nil {
		sum := sha256.Sum256(s.cert.Certificate[0])
		info.CertSHA256 = hex.EncodeToString(sum[:])
	}
	data, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", runFile, err)
	}
	path := filepath.Join(s.store.Dir, runFile)
	if err := fsx.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", runFile, err)
	}
	return nil
}

func (s *Server) removeRunFile() error {
	if err := (fsx.FS{}).Remove(filepath.Join(s.store.Dir, runFile)); err != nil {
		return fmt.Errorf("remove %s: %w", runFile, err)
	}
	return nil
}
