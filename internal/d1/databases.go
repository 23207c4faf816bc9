package d1

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Info describes a database.
type Info struct {
	ID         string
	Name       string
	CreatedAt  time.Time
	Durability Durability
	FileSize   int64 // bytes
	NumTables  int   // -1 when it was not asked for
	// ReadReplication is what was asked for. Here it has no effect: there is one copy.
	ReadReplication ReadReplication
}

// ReadReplication says whether sessions may read from copies.
type ReadReplication string

// The modes of read replication.
const (
	ReplicationAuto     ReadReplication = "auto"
	ReplicationDisabled ReadReplication = "disabled"
)

// CreateOptions of a database.
type CreateOptions struct {
	Name       string
	Durability Durability // "" for the default
}

// Create makes an empty database. Names are unique within an account.
func (s *Service) Create(ctx context.Context, account string, o CreateOptions) (Info, error) {
	if err := checkName(o.Name); err != nil {
		return Info{}, err
	}
	switch o.Durability {
	case "":
		o.Durability = DurabilityFull
	case DurabilityFull, DurabilityNormal:
	default:
		return Info{}, fail(CodeInvalid, "The durability %q is not one; use \"full\" or \"normal\".", clip(string(o.Durability)))
	}
	info := Info{ID: uuid.NewString(), Name: o.Name, CreatedAt: time.Now().Truncate(time.Millisecond), Durability: o.Durability, ReadReplication: ReplicationDisabled}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM d1_databases WHERE account_id = ?`, account).Scan(&n); err != nil {
			return err
		}
		if n >= s.o.MaxDatabases {
			return fail(CodeLimit, "The account has %d databases, which is the limit. Delete one, or raise d1.max_databases.", n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO d1_databases (id, account_id, name, created_at, durability) VALUES (?, ?, ?, ?, ?)`,
			info.ID, account, info.Name, info.CreatedAt.UnixMilli(), info.Durability)
		return err
	})
	if sqlite.IsUnique(err) {
		return Info{}, fail(CodeExists, "A database with the name %q already exists. Choose another name.", o.Name)
	}
	if err != nil {
		if own, ok := errors.AsType[*Error](err); ok {
			return Info{}, own
		}
		return Info{}, fmt.Errorf("d1: create %s: %w", o.Name, err)
	}
	return info, nil
}

const columns = `id, name, created_at, durability, read_replication`

// Get finds a database by its id or its name.
func (s *Service) Get(ctx context.Context, account, ref string) (Info, error) {
	row := s.o.Store.DB.Read().QueryRowContext(ctx,
		`SELECT `+columns+` FROM d1_databases WHERE account_id = ?1 AND (id = ?2 OR name = ?2) ORDER BY id = ?2 DESC LIMIT 1`, account, ref)
	info, err := scan(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Info{}, notFound(ref)
	}
	if err != nil {
		return Info{}, fmt.Errorf("d1: read %s: %w", clip(ref), err)
	}
	return s.measure(info), nil
}

// Exists reports whether the account has the database.
func (s *Service) Exists(ctx context.Context, account, id string) (bool, error) {
	var n int
	err := s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM d1_databases WHERE account_id = ? AND id = ?`, account, id).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("d1: look up a database: %w", err)
	}
	return n > 0, nil
}

// List returns one page of an account's databases, the newest first, and how many
// there are. Name, unless empty, is a part of the name.
func (s *Service) List(ctx context.Context, account, name string, offset, limit int) (page []Info, total int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("d1: list: %w", err)
		}
	}()
	const where = ` FROM d1_databases WHERE account_id = ?1 AND (?2 = '' OR instr(name, ?2))`
	db := s.o.Store.DB.Read()
	if err := db.QueryRowContext(ctx, `SELECT count(*)`+where, account, name).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := db.QueryContext(ctx, `SELECT `+columns+where+` ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4`, account, name, limit, offset)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		info, err := scan(rows.Scan)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, s.measure(info))
	}
	return page, total, rows.Err()
}

// Delete removes a database for good. Who uses it finishes.
func (s *Service) Delete(ctx context.Context, account, ref string) error {
	info, err := s.Get(ctx, account, ref)
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM d1_databases WHERE account_id = ? AND id = ?`, account, info.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("d1: delete %s: %w", info.Name, err)
	}
	id := uuid.MustParse(info.ID)
	s.mu.Lock()
	h := s.open[id]
	delete(s.imports, id)
	if h != nil {
		delete(s.open, id)
		h.gone = true
		if h.spot != nil {
			s.idle.Remove(h.spot)
			h.spot = nil
		}
	}
	inUse := h != nil && h.uses > 0
	s.mu.Unlock()
	switch {
	case inUse: // the last one removes it
	case h != nil:
		<-h.ready
		s.closeHandle(h)
	default:
		s.removeFolder(id)
	}
	return nil
}

// noteOpening counts that a database is opened, and reads what it needs to be. The
// count goes on above o.opened: where there is no history it makes bookmarks larger
// than those of all openings before, and a history begins with it.
func (s *Service) noteOpening(ctx context.Context, id uuid.UUID, o *openOptions) error {
	var created int64
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE d1_databases SET opened = max(opened, ?) + 1 WHERE id = ? RETURNING opened, durability, created_at`,
			o.opened, id.String()).Scan(&o.opened, &o.durability, &created)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(id.String())
	}
	if err != nil {
		return fmt.Errorf("d1: open %s: %w", id, err)
	}
	o.created = time.UnixMilli(created).UTC()
	return nil
}

// removeOrphans removes folders of databases that were deleted just before the
// platform ended.
func (s *Service) removeOrphans(ctx context.Context) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	for _, e := range entries {
		id, err := uuid.Parse(e.Name())
		if err != nil {
			continue // not ours
		}
		var n int
		if err := s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM d1_databases WHERE id = ?`, id.String()).Scan(&n); err != nil {
			return fmt.Errorf("d1: %w", err)
		}
		if n == 0 {
			s.removeFolder(id)
		}
	}
	return nil
}

// measure fills in how large the file is.
func (s *Service) measure(info Info) Info {
	info.NumTables = -1
	if id, err := uuid.Parse(info.ID); err == nil {
		for _, name := range []string{fileName, fileName + "-wal"} {
			if fi, err := os.Stat(s.folderOf(id) + "/" + name); err == nil {
				info.FileSize += fi.Size()
			}
		}
	}
	return info
}

func scan(read func(...any) error) (Info, error) {
	var info Info
	var created int64
	err := read(&info.ID, &info.Name, &created, &info.Durability, &info.ReadReplication)
	info.CreatedAt = time.UnixMilli(created).UTC()
	return info, err
}

// checkName accepts the names that wrangler accepts.
func checkName(name string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`).MatchString(name) {
		return fail(CodeInvalid, "The database name %q is not allowed. Use 1 to 64 letters, digits, - and _, and begin with a letter or a digit.", clip(name))
	}
	return nil
}

func notFound(ref string) error {
	return fail(CodeNotFound, "The database %q could not be found", clip(ref))
}
