package server

import (
	"errors"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/runc"
)

// ContainersMissing says what this machine lacks to run containers; "" for nothing.
func ContainersMissing() string {
	if err := runc.Check(); err != nil {
		return err.Error()
	}
	return ""
}

// containerDriver opens what runs containers here, or says why nothing does.
func (s *Server) containerDriver() (d driver.Driver, why string, err error) {
	if s.o.Helper == "" {
		return nil, "this program cannot keep them; run the selvage command", nil
	}
	r, err := runc.Open(runc.Options{Dir: filepath.Join(s.store.Dir, "containers", "run"), Helper: s.o.Helper, Log: s.log})
	if unavailable, ok := errors.AsType[*runc.UnavailableError](err); ok {
		return nil, unavailable.Text, nil
	}
	if err != nil {
		return nil, "", err
	}
	return r, "", nil
}
