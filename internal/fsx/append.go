package fsx

import (
	"errors"
	"io"
	"os"
)

// AppendFile is an open file that grows at its end, as a log does. It is not safe
// for concurrent use.
type AppendFile struct {
	fs   FS
	file *os.File
	size int64
}

// OpenAppend opens the existing file at path to append to it. The caller Closes it.
func OpenAppend(path string) (*AppendFile, error) { return FS{}.OpenAppend(path) }

// OpenAppend opens the existing file at path to append to it: a new one is made
// with WriteFile first, so that it is there whole or not at all.
func (s FS) OpenAppend(path string) (*AppendFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // opening the path it is given is this package's work
	if err != nil {
		return nil, wrap(OpCreate, path, err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, wrap(OpCreate, path, errors.Join(err, f.Close()))
	}
	return &AppendFile{fs: s, file: f, size: size}, nil
}

// Size returns the length of the file in bytes.
func (a *AppendFile) Size() int64 { return a.size }

// Append writes p at the end. After an error some of p may be there: Truncate to
// the Size of before takes it away.
func (a *AppendFile) Append(p []byte) error {
	if err := a.fs.ask(OpWrite, a.file.Name()); err != nil {
		return err
	}
	n, err := a.file.WriteAt(p, a.size)
	if err != nil {
		return wrap(OpWrite, a.file.Name(), err)
	}
	a.size += int64(n)
	return nil
}

// Sync makes what was appended durable. After an error it is not known what is: the
// kernel may have dropped it, and a second Sync that succeeds means nothing.
func (a *AppendFile) Sync() error {
	if err := a.fs.ask(OpSync, a.file.Name()); err != nil {
		return err
	}
	return wrap(OpSync, a.file.Name(), a.file.Sync())
}

// Truncate cuts the file to size bytes.
func (a *AppendFile) Truncate(size int64) error {
	if err := a.fs.ask(OpWrite, a.file.Name()); err != nil {
		return err
	}
	if err := a.file.Truncate(size); err != nil {
		return wrap(OpWrite, a.file.Name(), err)
	}
	a.size = size
	return nil
}

// Name returns the file's path.
func (a *AppendFile) Name() string { return a.file.Name() }

// ReadAt reads as [os.File.ReadAt] does.
func (a *AppendFile) ReadAt(p []byte, off int64) (int, error) { return a.file.ReadAt(p, off) }

// Overwrite puts p at the beginning of the file, in place. It is not atomic: p has a
// checksum.
func (a *AppendFile) Overwrite(p []byte) error {
	if err := a.fs.ask(OpWrite, a.file.Name()); err != nil {
		return err
	}
	n, err := a.file.WriteAt(p, 0)
	a.size = max(a.size, int64(n))
	return wrap(OpWrite, a.file.Name(), err)
}

// Close closes the file, without a Sync.
func (a *AppendFile) Close() error { return wrap(OpWrite, a.file.Name(), a.file.Close()) }
