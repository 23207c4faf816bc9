package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/history"
)

// manifestName is the file of a backup that says what belongs to it. It is written
// last: a folder without it is no backup.
const manifestName = "backup.json"

// manifest describes a backup.
type manifest struct {
	Version  int       `json:"version"` // 1
	Database string    `json:"database"`
	ID       string    `json:"id"`
	Made     time.Time `json:"made"`
	client.D1Backup
}

func (a *app) d1Backup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup DATABASE FOLDER",
		Short: "Copy a database into a folder",
		Long: `Copies a database as it is now into a folder, as LTX files with their checksums. A folder
with an earlier backup of the same database gets what is new alone. Nobody waits meanwhile.`,
		Example: `  selvage d1 backup papers /var/backups/papers`,
		Args:    twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				m, copied, err := a.backUp(ctx, c, db, args[1])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(m)
				}
				a.printf("backed up %s as of %s: %d files, %s of them new\n", printable(db.Name), m.Bookmark, len(m.Files), megabytes(copied))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) backUp(ctx context.Context, c *client.Client, db client.D1Database, dir string) (m manifest, copied int64, err error) {
	if err := fsx.MkdirAll(dir, 0o700); err != nil {
		return m, 0, err
	}
	old, err := readManifest(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		entries, err := os.ReadDir(dir)
		if err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			_, ours := history.ParseName(e.Name())
			return !ours && !fsx.IsTemp(e.Name())
		}) {
			err = fmt.Errorf("%s is neither empty nor a backup; choose another folder", dir)
		}
		if err != nil {
			return m, 0, err
		}
	case err != nil:
		return m, 0, err
	case old.ID != db.UUID:
		return m, 0, fmt.Errorf("%s has a backup of the database %s; choose another folder", dir, old.ID)
	}
	b, err := c.BackupD1(ctx, db.UUID)
	if err != nil {
		return m, 0, err
	}
	m = manifest{Version: 1, Database: db.Name, ID: db.UUID, Made: time.Now().UTC().Truncate(time.Second), D1Backup: b}
	for i := range m.Files {
		f := &m.Files[i]
		if _, ok := history.ParseName(f.Name); !ok {
			return m, 0, fmt.Errorf("the platform names a file %q, which is none of a history", f.Name)
		}
		known := slices.IndexFunc(old.Files, func(o client.D1BackupFile) bool { return o.Name == f.Name && o.Size == f.Size })
		if known >= 0 && digestOf(filepath.Join(dir, f.Name)) == old.Files[known].SHA256 {
			f.SHA256 = old.Files[known].SHA256
			continue
		}
		a.note("%d of %d: %s, %s", i+1, len(m.Files), f.Name, megabytes(f.Size))
		if err := copyFile(ctx, c, db.UUID, dir, f); err != nil {
			return m, copied, err
		}
		copied += f.Size
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = fsx.WriteFile(filepath.Join(dir, manifestName), append(text, '\n'), 0o600)
	}
	if err != nil {
		return m, copied, err
	}
	return m, copied, dropOthers(dir, m.Files)
}

// copyFile downloads one file and notes its digest.
func copyFile(ctx context.Context, c *client.Client, id, dir string, f *client.D1BackupFile) error {
	in, err := c.ReadD1Backup(ctx, id, *f)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := fsx.CreateTemp(dir, f.Name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), in)
	if err == nil && n != f.Size {
		err = fmt.Errorf("%s: %d bytes came, of %d", f.Name, n, f.Size)
	}
	if err != nil {
		return errors.Join(err, fsx.FS{}.Discard(out))
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return fsx.Commit(out, filepath.Join(dir, f.Name))
}

// dropOthers removes files of earlier backups that the new one does not need.
func dropOthers(dir string, keep []client.D1BackupFile) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, ours := history.ParseName(e.Name())
		kept := slices.ContainsFunc(keep, func(f client.D1BackupFile) bool { return f.Name == e.Name() })
		if ours && !kept || fsx.IsTemp(e.Name()) {
			if err := fsx.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func readManifest(dir string) (manifest, error) {
	var m manifest
	path := filepath.Join(dir, manifestName)
	b, err := os.ReadFile(path) //nolint:gosec // in the folder that the user names
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Version != 1 {
		return m, fmt.Errorf("%s is not of a backup that this version knows (version %d): %w", path, m.Version, err)
	}
	return m, nil
}

// digestOf is the SHA-256 digest of a file in hex, "" when it cannot be read.
func digestOf(path string) string {
	f, err := os.Open(path) //nolint:gosec // in the folder that the user names
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (a *app) d1Restore() *cobra.Command {
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "restore FOLDER [DATABASE]",
		Short: "Make a database from a backup, or replace one by it",
		Long: `Makes the database of a backup again, under its name or another one. If there is one of
that name, its content is replaced in one transaction; time travel can go back from that.
All checksums are verified before anything is changed.`,
		Example: `  selvage d1 restore /var/backups/papers
  selvage d1 restore /var/backups/papers papers-yesterday
  selvage d1 restore /var/backups/papers --dry-run`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readManifest(args[0])
			if err != nil {
				return err
			}
			name := m.Database
			if len(args) > 1 {
				name = args[1]
			}
			file, digest, err := a.assemble(cmd.Context(), args[0], m)
			if err != nil {
				return err
			}
			defer func() {
				if err := (fsx.FS{}).Discard(file); err != nil {
					a.note("%s was not removed: %v", file.Name(), err)
				}
			}()
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			db, err := c.D1(cmd.Context(), name)
			exists := err == nil
			if err != nil && !client.HasCode(err, client.CodeD1NotFound) {
				return err
			}
			what := fmt.Sprintf("by the state %s of %s (%s)", m.Bookmark, printable(m.Database), m.Made.Local().Format("2006-01-02 15:04:05"))
			switch {
			case dry && exists:
				a.printf("would replace the database %s (%s) %s\nnothing was changed (--dry-run)\n", printable(db.Name), db.UUID, what)
				return nil
			case dry:
				a.printf("would make the database %s %s\nnothing was changed (--dry-run)\n", printable(name), what)
				return nil
			case exists && !yes && !a.confirm(fmt.Sprintf("Replace the database %s (%s) %s?", printable(db.Name), db.UUID, what)):
				return errors.New("nothing was changed; --yes replaces without asking")
			}
			if !exists {
				if db, err = c.CreateD1(cmd.Context(), name); err != nil {
					return err
				}
			}
			done, err := a.upload(cmd.Context(), c, db.UUID, file, digest)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					client.D1Restored

					UUID string `json:"uuid"`
				}{done, db.UUID})
			}
			a.printf("restored %s (%s)\n", printable(db.Name), db.UUID)
			if exists {
				a.printf("to undo it: selvage d1 time-travel restore %s --bookmark %s\n", printable(db.Name), done.PreviousBookmark)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "replace without asking")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "verify the backup, show what would be done, and change nothing")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// assemble verifies a backup and makes the database file of it, beside it.
func (a *app) assemble(ctx context.Context, dir string, m manifest) (_ *os.File, digest string, err error) {
	id, err := strconv.ParseUint(m.Transaction, 16, 64)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %q is no number of a transaction", filepath.Join(dir, manifestName), m.Transaction)
	}
	for _, f := range m.Files {
		if digestOf(filepath.Join(dir, filepath.Base(f.Name))) != f.SHA256 {
			return nil, "", fmt.Errorf("%s is missing or damaged: it has not the SHA-256 digest that %s says", filepath.Join(dir, f.Name), manifestName)
		}
	}
	src, err := history.OpenFolder(fsx.FS{}, dir)
	if err != nil {
		return nil, "", err
	}
	out, err := fsx.CreateTemp(dir, "restore")
	if err != nil {
		return nil, "", err
	}
	err = history.Materialise(ctx, src, history.TXID(id), out, func(done, total int64) { a.note("read %s of %s", megabytes(done), megabytes(total)) })
	if err == nil {
		if digest = digestOf(out.Name()); digest == "" {
			err = fmt.Errorf("%s cannot be read back", out.Name())
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, fsx.FS{}.Discard(out))
	}
	return out, digest, nil
}

// upload sends the file and says how far it is.
func (a *app) upload(ctx context.Context, c *client.Client, id string, file *os.File, digest string) (client.D1Restored, error) {
	info, err := file.Stat()
	if err != nil {
		return client.D1Restored{}, err
	}
	began := time.Now()
	open := func() (io.ReadCloser, error) {
		f, err := os.Open(file.Name())
		if err != nil {
			return nil, err
		}
		return &progressReader{ReadCloser: f, report: func(done int64) {
			a.note("%s", progress(client.D1Progress{Step: "sending", Done: done, Total: info.Size()}, time.Since(began)))
		}}, nil
	}
	return c.ReplaceD1(ctx, id, open, info.Size(), digest)
}

// progressReader reports every 64 MB.
type progressReader struct {
	io.ReadCloser

	done, said int64
	report     func(done int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	const every = 64 << 20
	if p.done += int64(n); p.done-p.said >= every {
		p.said = p.done
		p.report(p.done)
	}
	return n, err
}
