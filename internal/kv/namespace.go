package kv

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Namespace is a set of keys.
type Namespace struct {
	ID        string // 32 hex digits
	Title     string // unique in the account
	CreatedAt time.Time
}

// Order says how Namespaces sorts.
type Order struct {
	ByTitle bool // else by id
	Desc    bool
}

// CreateNamespace makes an empty namespace. The error is CodeTitleTaken when the
// account has one of that title.
func (s *Service) CreateNamespace(ctx context.Context, account, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	id := uuid.New()
	n := Namespace{ID: hex.EncodeToString(id[:]), Title: title, CreatedAt: s.o.Now().UTC().Truncate(time.Millisecond)}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		var count int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM kv_namespaces WHERE account_id = ?", account).Scan(&count); err != nil {
			return err
		}
		if count >= maxNamespaces {
			return fail(CodeInvalidRequest, 400, "the account has %d KV namespaces, the most there may be; delete one first", count)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO kv_namespaces (id, account_id, title, created_at) VALUES (?, ?, ?, ?)", n.ID, account, title, n.CreatedAt.UnixMilli())
		return err
	})
	return n, titleError("make the namespace", err)
}

// RenameNamespace gives a namespace another title. Errors: CodeNamespaceNotFound,
// CodeTitleTaken.
func (s *Service) RenameNamespace(ctx context.Context, account, id, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE kv_namespaces SET title = ? WHERE account_id = ? AND id = ?", title, account, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, namespaceNotFound())
		}
		return nil
	})
	if err != nil {
		return Namespace{}, titleError("rename the namespace", err)
	}
	return s.Namespace(ctx, account, id)
}

func titleError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case sqlite.IsUnique(err):
		return fail(CodeTitleTaken, 400, "a namespace with this account ID and title already exists")
	}
	return internal(op, err)
}

// Namespace returns one namespace. The error is CodeNamespaceNotFound when the
// account has none of that id.
func (s *Service) Namespace(ctx context.Context, account, id string) (Namespace, error) {
	n, err := scanNamespace(s.o.Store.DB.Read().QueryRowContext(ctx, "SELECT id, title, created_at FROM kv_namespaces WHERE account_id = ? AND id = ?", account, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Namespace{}, namespaceNotFound()
	}
	if err != nil {
		return Namespace{}, internal("read the namespace", err)
	}
	return n, nil
}

// Exists says whether the account has the namespace.
func (s *Service) Exists(ctx context.Context, account, id string) (bool, error) {
	_, err := s.Namespace(ctx, account, id)
	var e *Error
	if errors.As(err, &e) && e.Code == CodeNamespaceNotFound {
		return false, nil
	}
	return err == nil, err
}

// Namespaces returns up to limit namespaces of an account after the first
// offset ones, and how many it has in all.
func (s *Service) Namespaces(ctx context.Context, account string, by Order, offset, limit int) (all []Namespace, total int, err error) {
	column, direction := "id", "ASC"
	if by.ByTitle {
		column = "title"
	}
	if by.Desc {
		direction = "DESC"
	}
	db := s.o.Store.DB.Read()
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM kv_namespaces WHERE account_id = ?", account).Scan(&total); err != nil {
		return nil, 0, internal("list the namespaces", err)
	}
	rows, err := db.QueryContext(ctx, "SELECT id, title, created_at FROM kv_namespaces WHERE account_id = ? ORDER BY "+column+" "+direction+" LIMIT ? OFFSET ?", account, limit, offset)
	if err != nil {
		return nil, 0, internal("list the namespaces", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		n, err := scanNamespace(rows)
		if err != nil {
			return nil, 0, internal("list the namespaces", err)
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, internal("list the namespaces", err)
	}
	return all, total, nil
}

func scanNamespace(row interface{ Scan(dest ...any) error }) (Namespace, error) {
	var n Namespace
	var created int64
	if err := row.Scan(&n.ID, &n.Title, &created); err != nil {
		return Namespace{}, err
	}
	n.CreatedAt = time.UnixMilli(created).UTC()
	return n, nil
}

// DeleteNamespace deletes a namespace with all that is in it. Calls under way end
// first; its folder is gone when this returns nil, and should the platform end
// before that, Sweep removes it.
func (s *Service) DeleteNamespace(ctx context.Context, account, id string) error {
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM kv_namespaces WHERE account_id = ? AND id = ?", account, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, namespaceNotFound())
		}
		return nil
	})
	if err != nil {
		return internal("delete the namespace", err)
	}
	return s.clear(ctx, id)
}

// clear closes a namespace that has no row any more and removes its folder.
func (s *Service) clear(ctx context.Context, id string) error {
	for {
		s.mu.Lock()
		sl := s.slots[id]
		if sl == nil {
			// Nobody can open it: it has no row.
			s.mu.Unlock()
			return internal("delete the namespace's folder", s.newSpace(id, "").destroy())
		}
		if !sl.closing {
			s.shut(id, sl) //nolint:contextcheck // others may be using it: it closes in its own time
		}
		s.mu.Unlock()
		select {
		case <-sl.gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func checkTitle(title string) error {
	switch {
	case title == "" || len(title) > maxTitle:
		return fail(CodeInvalidRequest, 400, "the title of a KV namespace must have 1 to %d bytes", maxTitle)
	case !utf8.ValidString(title) || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fail(CodeInvalidRequest, 400, "the title of a KV namespace has characters that are not allowed")
	}
	return nil
}

// isNamespaceID holds for exactly the ids that CreateNamespace makes, so that an
// id never leads out of the folder.
func isNamespaceID(id string) bool { return isValueName(id) }
