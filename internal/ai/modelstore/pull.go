package modelstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/pause"
)

const (
	maxTries  = 5
	chunk     = 1 << 20
	tellEvery = 200 * time.Millisecond
)

// Progress is called while bytes come in; done counts those of earlier tries too.
type Progress func(file string, done, total int64)

// Pull downloads what plan says and adds it as m, of which Name, Kind and License are
// set. What was downloaded of it before is not downloaded again.
func (s *Store) Pull(ctx context.Context, m *Model, plan *Plan, tell Progress) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.checkNew(m.Name); err != nil {
		return err
	}
	if err := s.room(plan.Size); err != nil {
		return err
	}
	key := sha256.Sum256([]byte(plan.Repository + "\n" + plan.Revision))
	dir := filepath.Join(s.dir, partial, hex.EncodeToString(key[:16]))
	m.Source, m.Revision, m.Size, m.Files = "hub:"+plan.Repository, plan.Revision, 0, nil
	d := &download{s: s, plan: plan, dir: dir, tell: tell}
	for _, f := range plan.Files {
		got, err := d.file(ctx, f)
		if err != nil {
			return err
		}
		m.Files, m.Size = append(m.Files, got), m.Size+got.Size
	}
	target := filepath.Join(s.dir, uuid.NewString())
	if err := s.o.Store.FS.Rename(dir, target); err != nil {
		return err
	}
	return s.add(ctx, m, target)
}

type download struct {
	s    *Store
	plan *Plan
	dir  string
	tell Progress
	done int64 // of files before this one
	told time.Time
}

func (d *download) say(file string, done int64) {
	now := time.Now()
	if d.tell == nil || now.Sub(d.told) < tellEvery && done < d.plan.Size {
		return
	}
	d.told = now
	d.tell(file, done, d.plan.Size)
}

// file brings one file and returns what it is.
func (d *download) file(ctx context.Context, f File) (File, error) {
	final := filepath.Join(d.dir, filepath.FromSlash(f.Path))
	fsys := d.s.o.Store.FS
	if err := fsys.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return f, err
	}
	part := final + ".part"
	if size, ok := exists(final); ok && size == f.Size {
		return d.verify(f, final)
	}
	if _, ok := exists(part); !ok {
		if err := fsys.WriteFile(part, nil, 0o600); err != nil {
			return f, err
		}
	}
	var err error
	for try := range maxTries {
		if try > 0 {
			if err := pause.For(ctx, time.Duration(try)*time.Second/2); err != nil {
				return f, err
			}
		}
		if err = d.fetch(ctx, f, part); err == nil {
			break
		}
		if e, ok := err.(*fault.Error); ctx.Err() != nil || ok && e.Code != fault.CodeDownload { //nolint:errorlint // not what it wraps
			return f, err
		}
	}
	if err != nil {
		return f, err
	}
	if err := fsys.Rename(part, final); err != nil {
		return f, err
	}
	if err := fsys.SyncDir(filepath.Dir(final)); err != nil {
		return f, err
	}
	return d.verify(f, final)
}

// fetch appends what is missing of a file.
func (d *download) fetch(ctx context.Context, f File, part string) (err error) {
	out, err := d.s.o.Store.FS.OpenAppend(part)
	if err != nil {
		return err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	if out.Size() > f.Size {
		if err := out.Truncate(0); err != nil {
			return err
		}
	}
	if out.Size() == f.Size {
		return out.Sync()
	}
	res, err := d.s.get(ctx, "/"+d.plan.Repository+"/resolve/"+d.plan.Revision+"/"+f.Path, out.Size())
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK && out.Size() > 0 || res.StatusCode == http.StatusPartialContent && !strings.HasPrefix(res.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", out.Size())) {
		if res.StatusCode == http.StatusPartialContent {
			return fault.New(fault.CodeDownload, "The hub sent another part of %s than was asked for", f.Path)
		}
		if err := out.Truncate(0); err != nil { // it sends the whole
			return err
		}
	}
	buffer := make([]byte, chunk)
	for {
		n, err := io.ReadFull(res.Body, buffer)
		if int64(n) > f.Size-out.Size() {
			return fault.New(fault.CodeDownload, "The hub sent more of %s than the %d bytes it has", f.Path, f.Size)
		}
		if n > 0 {
			if err := out.Append(buffer[:n]); err != nil {
				return err
			}
			d.say(f.Path, d.done+out.Size())
		}
		if err != nil {
			break // the size tells whether it was the end
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if out.Size() != f.Size {
		return fault.New(fault.CodeDownload, "The download of %s broke off at %s of %s. Pull again: it goes on from there.", f.Path, Bytes(out.Size()), Bytes(f.Size))
	}
	return nil
}

// verify compares a whole file with the digest of the hub, and records the one it has.
func (d *download) verify(f File, final string) (File, error) {
	sum, err := digestOf(final)
	if err != nil {
		return f, err
	}
	if f.SHA256 != "" && sum != f.SHA256 {
		if err := d.s.o.Store.FS.Remove(final); err != nil {
			return f, err
		}
		return f, fault.New(fault.CodeDownload, "What was downloaded of %s has another sha256 than the hub says, and was thrown away. Pull again.", path.Base(f.Path))
	}
	f.SHA256 = sum
	d.done += f.Size
	d.say(f.Path, d.done)
	return f, nil
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name) //nolint:gosec // a file of the store
	if err != nil {
		return "", fmt.Errorf("modelstore: %w", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("modelstore: %w", err)
	}
	return hexOf(h), nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
