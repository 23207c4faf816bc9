package fsx

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
)

// Lock takes the exclusive lock on the file at path, making it if need be, and
// writes this process's id into it. It does not wait: when another process (or
// another Lock in this one) has it, the error is a [*LockedError]. The kernel
// drops the lock when the process dies, however it dies. The file stays where
// it is: removing it would let two processes lock two files of one name.
func (s FS) Lock(path string) (release func() error, err error) {
	f, err := s.LockFile(path)
	if err != nil {
		return nil, err
	}
	return func() error {
		// Emptied first: a process id that is no more would send somebody looking.
		// Closing alone leaves the lock to a child that has been forked and has not
		// yet become the program that it will run.
		return wrap(OpLock, path, errors.Join(f.Truncate(0), unlock(f), f.Close()))
	}, nil
}

// LockFile is Lock, but returns the open file that holds the lock. A child
// process that inherits it holds the lock too: it is free when the last of them
// has closed the file or died.
func (s FS) LockFile(path string) (*os.File, error) {
	if err := s.ask(OpLock, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // opening the path it is given is this package's work
	if err != nil {
		return nil, wrap(OpLock, path, err)
	}
	if err := flock(f); err != nil {
		defer f.Close() //nolint:errcheck // nothing was written to it
		if errors.Is(err, errWouldBlock) {
			return nil, &LockedError{Path: path, PID: readPID(f)}
		}
		return nil, wrap(OpLock, path, err)
	}
	if err := writePID(f); err != nil {
		return nil, wrap(OpLock, path, errors.Join(err, f.Close()))
	}
	return f, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID returns 0 when the file does not hold a process id, as in the moment
// between the holder's taking the lock and its writing.
func readPID(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
