package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/runtimebin"
)

// firstStartSpace is what a new data directory needs besides workerd, in bytes.
const firstStartSpace = 16 << 20

// preflight finds what would make the start fail before anything is changed.
func (s *Server) preflight(ctx context.Context) error {
	c := s.cfg.Load()
	addr := net.JoinHostPort(c.APIHost(), strconv.Itoa(c.API.Port))
	if err := api.CheckListen(addr, c.API.TLSCert != "", c.InsecureHTTP); err != nil {
		return err
	}
	cert, err := loadCert(c)
	if err != nil {
		return err
	}
	s.cert = cert
	program, err := runtimebin.Describe(ctx, c.Data, c.Workerd)
	if err != nil {
		return err
	}
	return checkSpace(c.Data, program)
}

// checkSpace refuses a first start that would fill the disk half way through.
func checkSpace(data string, program runtimebin.Program) error {
	need := int64(0)
	if _, err := os.Stat(filepath.Join(data, "lock")); errors.Is(err, fs.ErrNotExist) {
		need = firstStartSpace
	}
	if program.Origin == runtimebin.OriginEmbedded {
		if _, err := os.Stat(program.Path); errors.Is(err, fs.ErrNotExist) {
			m, _, err := runtimebin.Embedded()
			if err != nil {
				return err
			}
			need += m.Size
		}
	}
	if need == 0 {
		return nil
	}
	have, where, ok := FreeSpace(data)
	if ok && have < need {
		return &SpaceError{Dir: where, Need: need, Have: have}
	}
	return nil
}

// SpaceError says that a first start does not fit. It matches
// fsx.ErrNoSpace.
type SpaceError struct {
	Dir        string
	Need, Have int64 // bytes
}

// Error says what to do.
func (e *SpaceError) Error() string {
	const mib = 1 << 20
	return fmt.Sprintf("the file system of %s has %d MiB free, but a first start needs %d MiB: free some space or choose another data directory with --data",
		e.Dir, e.Have/mib, (e.Need+mib-1)/mib)
}

// Is makes the error match fsx.ErrNoSpace.
func (e *SpaceError) Is(target error) bool { return target == fsx.ErrNoSpace }

// FreeSpace returns the bytes that may be written below dir, and the nearest
// folder above it that exists. It is not ok where the system does not say.
func FreeSpace(dir string) (bytes int64, where string, ok bool) {
	for where = dir; ; where = filepath.Dir(where) {
		if _, err := os.Stat(where); err == nil || where == filepath.Dir(where) {
			break
		}
	}
	bytes, ok = freeSpace(where)
	return bytes, where, ok
}

// PortError says that an address cannot be listened on.
type PortError struct {
	Door string // "edge" or "API"
	Addr string
	Flag string
	Err  error
}

// Error names the port and the flag that chooses another.
func (e *PortError) Error() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s is taken by another program, so the %s cannot listen there: stop that program, or choose another port with %s (0 takes any free one)", e.Addr, e.Door, e.Flag)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("this user may not listen on %s: choose a port of 1024 or more with %s", e.Addr, e.Flag)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s is no address of this machine, so the %s cannot listen there: choose another with --host", e.Addr, e.Door)
	}
	return fmt.Sprintf("the %s cannot listen on %s: %v", e.Door, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *PortError) Unwrap() error { return e.Err }

// RunningError says that the data directory has a running platform.
type RunningError struct {
	Dir string
	PID int // 0 when it is not known
}

// Error says what to do.
func (e *RunningError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = "process " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("a platform already runs on the data directory %s (%s): see \"selvage status\", stop it, or give this one a directory of its own with --data", e.Dir, who)
}

// listen takes both ports. A taken port is most often a second start, which is
// said as such.
func (s *Server) listen(ctx context.Context) error {
	c := s.cfg.Load()
	var err error
	s.edgeListener, err = s.listenOn(ctx, c, "edge", c.Host, c.Port, "--port")
	if err != nil {
		return err
	}
	if c.TLS.Mode != config.TLSOff {
		if s.tlsListener, err = s.listenOn(ctx, c, "edge (HTTPS)", c.Host, c.TLS.Port, "--tls-port"); err != nil {
			return err
		}
	}
	s.apiListener, err = s.listenOn(ctx, c, "API", c.APIHost(), c.API.Port, "--api-port")
	return err
}

func (s *Server) listenOn(ctx context.Context, c *config.Config, door, host string, port int, flag string) (net.Listener, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		if info, ok := ReadRunFile(c.Data); ok && errors.Is(err, syscall.EADDRINUSE) {
			return nil, &RunningError{Dir: c.Data, PID: info.PID}
		}
		return nil, &PortError{Door: door, Addr: addr, Flag: flag, Err: err}
	}
	s.onClose(door+" listener", func(context.Context) error {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return ln, nil
}
