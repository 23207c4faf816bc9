package runc

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// rootFiles are a container's files, seen from outside.
type rootFiles struct {
	root  *os.Root
	shift int
}

// maxFile bounds one file that is put into a container, in bytes.
const maxFile = 64 << 20

func inRoot(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}

// ReadTar implements [driver.Files]. Names in the archive begin with the last part
// of the path, or with "./" when that ends in "/.".
func (f *rootFiles) ReadTar(ctx context.Context, name string, to io.Writer) error {
	base := inRoot(name)
	prefix := path.Base(base)
	if strings.HasSuffix(name, "/.") || base == "." {
		prefix = "."
	}
	w := tar.NewWriter(to)
	err := fs.WalkDir(f.root.FS(), base, func(p string, e fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		inside := path.Join(prefix, strings.TrimPrefix(strings.TrimPrefix(p, base), "/"))
		if base == "." {
			inside = p
		}
		return f.add(w, p, inside, e)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func (f *rootFiles) add(w *tar.Writer, p, inside string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = f.root.Readlink(p); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil // sockets, FIFOs: nothing to read
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = inside
	if info.IsDir() {
		h.Name += "/"
	}
	h.Uid, h.Gid, h.Uname, h.Gname = max(h.Uid-f.shift, 0), max(h.Gid-f.shift, 0), "", ""
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := f.root.Open(p)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.CopyN(w, file, h.Size)
	return err
}

// WriteTar implements [driver.Files], for files and folders.
func (f *rootFiles) WriteTar(ctx context.Context, name string, from io.Reader) error {
	base := inRoot(name)
	info, err := f.root.Stat(base)
	if err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder of the container: %w", name, fs.ErrNotExist)
	}
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if err := f.put(path.Join(base, inRoot(h.Name)), h, r); err != nil {
			return err
		}
	}
}

func (f *rootFiles) put(p string, h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return f.folders(p)
	case tar.TypeReg:
	default:
		return fmt.Errorf("%.100q is neither file nor folder", h.Name)
	}
	if h.Size > maxFile {
		return fmt.Errorf("%.100q is larger than %d bytes", h.Name, maxFile)
	}
	if err := f.folders(path.Dir(p)); err != nil {
		return err
	}
	if err := f.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	return errors.Join(err, file.Close(), f.root.Lchown(p, f.shift, f.shift), f.root.Chmod(p, h.FileInfo().Mode()&fs.ModePerm))
}

// folders makes a folder and those above it.
func (f *rootFiles) folders(p string) error {
	if p == "." {
		return nil
	}
	if err := f.folders(path.Dir(p)); err != nil {
		return err
	}
	err := f.root.Mkdir(p, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, f.root.Lchown(p, f.shift, f.shift))
}

// Close implements [driver.Files].
func (f *rootFiles) Close() error { return f.root.Close() }
