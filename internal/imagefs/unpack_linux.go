package imagefs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options of [Unpack]; zero fields take the defaults that are named.
type Options struct {
	// Shift is added to the owner of every file: the first id on this machine of
	// the user namespace that the files are for.
	Shift      int
	MaxBytes   int64 // of files together; 10 GiB
	MaxEntries int   // 1,000,000
}

const (
	maxDepth = 128
	maxOwner = 65535 // the last id of a user namespace of ours
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"

	xattrRecord = "SCHILY.xattr."
)

// Result is what a layer was.
type Result struct {
	DiffID  string // SHA-256 of the tar stream, in hex
	Bytes   int64
	Entries int
}

// Unpack writes a layer into the folder dir, which exists and is empty. After an
// error what is in it is of no use. When it returns nil, all of it is on disk.
func Unpack(ctx context.Context, dir string, layer io.Reader, o Options) (Result, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 10 << 30
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = 1_000_000
	}
	stream, end, err := decompress(layer)
	if err != nil {
		return Result{}, err
	}
	defer end()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, fmt.Errorf("imagefs: %w", err)
	}
	defer func() { _ = root.Close() }()
	hash := sha256.New()
	u := &unpacker{o: o, root: root, made: make(map[string]bool), buf: make([]byte, 256<<10)}
	if err := root.Lchown(".", o.Shift, o.Shift); err != nil {
		return Result{}, fmt.Errorf("imagefs: %w", err)
	}
	hashed := io.TeeReader(&contextReader{ctx, stream}, hash)
	if err := u.all(tar.NewReader(hashed)); err != nil {
		return Result{}, explain(ctx, err)
	}
	// What follows the end of the archive counts for the digest; it is bounded like
	// everything.
	n, err := io.CopyBuffer(io.Discard, io.LimitReader(hashed, o.MaxBytes), u.buf)
	if err != nil || n == o.MaxBytes {
		return Result{}, explain(ctx, &LayerError{Text: "the layer does not end", Err: err})
	}
	if err := u.finish(); err != nil {
		return Result{}, fmt.Errorf("imagefs: %w", err)
	}
	return Result{DiffID: hex.EncodeToString(hash.Sum(nil)), Bytes: u.bytes, Entries: u.entries}, nil
}

func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("imagefs: %w", cause)
	}
	if _, known := errors.AsType[*LayerError](err); known {
		return err
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("imagefs: %w", err)
	}
	return &LayerError{Text: "the layer cannot be unpacked", Err: err}
}

type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one layer
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

type unpacker struct {
	o       Options
	root    *os.Root
	made    map[string]bool // folders that are known to be there
	times   []folderTime
	buf     []byte
	bytes   int64
	entries int
}

// folderTime is set at the end: files that are made in a folder change it.
type folderTime struct {
	name string
	time time.Time
}

func (u *unpacker) all(tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &LayerError{Text: "the layer is no tar archive, or breaks off", Err: err}
		}
		u.entries++
		if u.entries > u.o.MaxEntries {
			return &LayerError{Text: fmt.Sprintf("the layer has more than %d entries", u.o.MaxEntries)}
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := u.entry(h, tr); err != nil {
			if own, ok := errors.AsType[*LayerError](err); ok {
				return own
			}
			return &LayerError{Entry: h.Name, Text: "cannot be unpacked", Err: err}
		}
	}
}

// clean returns an entry's path below the root.
func clean(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", &LayerError{Entry: name, Text: "leads out of the image"}
		}
	}
	out := strings.TrimPrefix(path.Clean("/"+name), "/")
	if out == "" {
		return ".", nil
	}
	if strings.Count(out, "/") >= maxDepth || strings.ContainsRune(out, 0) {
		return "", &LayerError{Entry: name, Text: "is nested too deeply"}
	}
	return out, nil
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	if h.Uid < 0 || h.Gid < 0 || u.o.Shift > 0 && (h.Uid > maxOwner || h.Gid > maxOwner) {
		return &LayerError{Entry: h.Name, Text: fmt.Sprintf("belongs to %d:%d; ids go from 0 to %d here", h.Uid, h.Gid, maxOwner)}
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	if base := path.Base(name); strings.HasPrefix(base, whiteout) {
		return u.whiteout(path.Dir(name), base)
	}
	if name != "." {
		if err := u.clear(name, h.Typeflag); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err = u.folder(name, h)
	case tar.TypeReg:
		err = u.file(name, h, r)
	case tar.TypeSymlink:
		err = u.root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return u.link(name, h)
	case tar.TypeFifo:
		err = u.node(path.Dir(name), path.Base(name), unix.S_IFIFO)
	case tar.TypeChar, tar.TypeBlock:
		if strings.HasPrefix(name, "dev/") {
			return nil
		}
		return &LayerError{Entry: h.Name, Text: "is a device node, which images cannot have here"}
	default:
		return &LayerError{Entry: h.Name, Text: fmt.Sprintf("is of the unknown type %q", h.Typeflag)}
	}
	if err != nil {
		return err
	}
	return u.attributes(name, h)
}

// parents makes folders that the layer does not mention.
func (u *unpacker) parents(dir string) error {
	if dir == "." || u.made[dir] {
		return nil
	}
	if err := u.parents(path.Dir(dir)); err != nil {
		return err
	}
	err := u.root.Mkdir(dir, 0o755)
	if err == nil {
		err = u.root.Lchown(dir, u.o.Shift, u.o.Shift)
	} else if errors.Is(err, fs.ErrExist) {
		// A link that an entry leads through is followed within the root, or refused.
		info, serr := u.root.Stat(dir)
		if err = serr; err == nil && !info.IsDir() {
			err = fmt.Errorf("%.200q is no folder", dir)
		}
	}
	if err == nil {
		u.made[dir] = true
	}
	return err
}

// clear removes what an earlier entry has put at the same path.
func (u *unpacker) clear(name string, kind byte) error {
	info, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() && kind == tar.TypeDir {
		return nil
	}
	if info.IsDir() {
		clear(u.made)
	}
	return u.root.RemoveAll(name)
}

func (u *unpacker) folder(name string, h *tar.Header) error {
	if err := u.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	u.made[name] = true
	u.times = append(u.times, folderTime{name, h.ModTime})
	return nil
}

func (u *unpacker) file(name string, h *tar.Header, r io.Reader) error {
	if h.Size > u.o.MaxBytes-u.bytes {
		return &LayerError{Entry: h.Name, Text: fmt.Sprintf("is too large: the layer may have %d bytes of files", u.o.MaxBytes)}
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, u.buf)
	u.bytes += n
	return errors.Join(err, f.Close())
}

func (u *unpacker) link(name string, h *tar.Header) error {
	target, err := clean(h.Linkname)
	if err != nil {
		return err
	}
	info, err := u.root.Lstat(target)
	if err != nil || info.IsDir() || target == "." {
		return &LayerError{Entry: h.Name, Text: fmt.Sprintf("is a hard link to %.200q, which is no file of the same layer", h.Linkname)}
	}
	return u.root.Link(target, name)
}

// whiteout notes what the layer removes, in overlayfs's form: a character device
// 0/0 for a file, an attribute for all that is in a folder below.
func (u *unpacker) whiteout(dir, base string) error {
	if base == opaque {
		d, err := u.root.Open(dir)
		if err != nil {
			return err
		}
		return errors.Join(unix.Fsetxattr(int(d.Fd()), "trusted.overlay.opaque", []byte("y"), 0), d.Close())
	}
	hidden := strings.TrimPrefix(base, whiteout)
	if hidden == "" || hidden == "." || hidden == ".." || strings.HasPrefix(hidden, whiteout) {
		return &LayerError{Entry: path.Join(dir, base), Text: "is no whiteout that is known"}
	}
	if err := u.clear(path.Join(dir, hidden), tar.TypeChar); err != nil {
		return err
	}
	return u.node(dir, hidden, unix.S_IFCHR)
}

// node makes a FIFO or a whiteout.
func (u *unpacker) node(dir, base string, kind uint32) error {
	d, err := u.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Mknodat(int(d.Fd()), base, kind|0o600, 0), d.Close())
}

// attributes sets owner, mode and times, in the order in which one does not undo
// another.
func (u *unpacker) attributes(name string, h *tar.Header) error {
	if err := u.root.Lchown(name, h.Uid+u.o.Shift, h.Gid+u.o.Shift); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := u.root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	for key, value := range h.PAXRecords {
		if attr, ok := strings.CutPrefix(key, xattrRecord); ok && h.Typeflag != tar.TypeFifo {
			if err := u.xattr(name, attr, []byte(value)); err != nil {
				return err
			}
		}
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// xattr sets an attribute of a file or folder, of those that mean something in a
// container.
func (u *unpacker) xattr(name, attr string, value []byte) error {
	switch {
	case attr == "security.capability":
		if u.o.Shift > 0 {
			value = capabilityFor(value, u.o.Shift)
		}
		if value == nil {
			return &LayerError{Entry: name, Text: "has file capabilities in an unknown form"}
		}
	case strings.HasPrefix(attr, "user."):
	default:
		return nil // labels of another machine's security module, overlayfs's own
	}
	f, err := u.root.Open(name)
	if err != nil {
		return err
	}
	err = unix.Fsetxattr(int(f.Fd()), attr, value, 0)
	if errors.Is(err, unix.ENOTSUP) && attr != "security.capability" {
		err = nil // the file system has no attributes of users
	}
	return errors.Join(err, f.Close())
}

// finish sets the times of folders and waits until everything is on disk.
func (u *unpacker) finish() error {
	for _, t := range u.times {
		if err := u.root.Chtimes(t.name, t.time, t.time); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	d, err := u.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(d.Fd()))), d.Close())
}
