package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Folder is a [Source] on disk, which can also be written to.
type Folder struct {
	dir string
	fs  fsx.FS

	mu     sync.RWMutex
	files  []File // in the order of File.before
	active *segment
}

// OpenFolder reads which files the folder has.
func OpenFolder(fs fsx.FS, dir string) (*Folder, error) {
	d := &Folder{dir: dir, fs: fs}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("history: %w", err)
	}
	for _, e := range entries {
		f, ok := ParseName(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		f.Size = info.Size()
		d.files = append(d.files, f)
	}
	slices.SortFunc(d.files, File.before)
	return d, nil
}

// removeUnfinished removes what a crash left of files that were being made.
func (d *Folder) removeUnfinished() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	for _, e := range entries {
		if !fsx.IsTemp(e.Name()) {
			continue
		}
		if err := d.fs.Remove(filepath.Join(d.dir, e.Name())); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	return nil
}

// Files implements [Source]. The segment that still grows is among them, as it is now.
func (d *Folder) Files(context.Context) ([]File, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := slices.Clone(d.files)
	if d.active != nil {
		if f, ok := d.active.file(); ok {
			all = append(all, f)
			slices.SortFunc(all, File.before)
		}
	}
	return all, nil
}

// Open implements [Source].
func (d *Folder) Open(_ context.Context, f File) (io.ReadCloser, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, err := os.Open(d.pathOf(f))
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, f.Size), r}, nil
}

// pathOf finds a file. A segment that grew when it was listed may have its final name
// by now; its reader stops where the file was said to end.
func (d *Folder) pathOf(f File) string {
	name := f.Name()
	if f.Level == LevelRecords {
		if d.active != nil {
			if now, ok := d.active.file(); ok && f.Min == now.Min {
				return d.active.out.Name()
			}
		}
		if i := slices.IndexFunc(d.files, func(g File) bool { return g.Level == LevelRecords && g.Min == f.Min }); i >= 0 {
			name = d.files[i].Name()
		}
	}
	return filepath.Join(d.dir, name)
}

// Create puts a file there, whole or not at all: write gets where its content goes.
func (d *Folder) Create(f File, write func(io.Writer) error) error {
	out, err := d.fs.CreateTemp(d.dir, f.Name())
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	w := bufio.NewWriterSize(d.fs.Writer(out), 1<<20)
	if err := errors.Join(write(w), w.Flush()); err != nil {
		return errors.Join(err, d.fs.Discard(out))
	}
	info, err := out.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("history: %w", err), d.fs.Discard(out))
	}
	if err := d.fs.Commit(out, filepath.Join(d.dir, f.Name())); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	f.Size = info.Size()
	d.add(f)
	return nil
}

func (d *Folder) add(f File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addLocked(f)
}

func (d *Folder) addLocked(f File) {
	i, found := slices.BinarySearchFunc(d.files, f, File.before)
	if found {
		d.files[i] = f
		return
	}
	d.files = slices.Insert(d.files, i, f)
}

// remove takes a file out. Who has it open reads on.
func (d *Folder) remove(f File) error {
	if err := d.fs.Remove(filepath.Join(d.dir, f.Name())); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files = slices.DeleteFunc(d.files, func(g File) bool { return g == f })
	return nil
}

// last returns the largest number in the folder, 0 when it is empty.
func (d *Folder) last() TXID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var last TXID
	if n := len(d.files); n > 0 {
		last = d.files[n-1].Max
	}
	if d.active != nil {
		if f, ok := d.active.file(); ok {
			last = max(last, f.Max)
		}
	}
	return last
}
