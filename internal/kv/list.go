package kv

import (
	"context"
	"database/sql"
	"fmt"
)

// maxScan bounds the rows that one call of List reads, expired ones included. A
// page may therefore hold fewer keys than asked for, and still not be the last.
const maxScan = 4 * MaxListKeys

// ListOptions says which keys to list.
type ListOptions struct {
	Prefix string
	Limit  int    // 1 to MaxListKeys; 0: MaxListKeys
	Cursor string // of the page before; "" for the first
}

// ListedKey is a key without its value.
type ListedKey struct {
	Name     string
	Expires  int64  // unix seconds; 0: never
	Metadata []byte // JSON; nil: none
}

// Page is a part of a list.
type Page struct {
	Keys []ListedKey
	// Cursor gives the next page; "" when there is none.
	Cursor string
}

// List returns keys in the order of their bytes. The error is
// CodeInvalidCursor for a cursor that is not of this namespace and prefix.
func (s *Service) List(ctx context.Context, account, namespace string, o ListOptions) (Page, error) {
	switch {
	case o.Limit == 0:
		o.Limit = MaxListKeys
	case o.Limit < 0:
		return Page{}, fail(CodeInvalidRequest, 400, "Invalid key_count_limit of %d. Please specify an integer greater than 0.", o.Limit)
	case o.Limit > MaxListKeys:
		return Page{}, fail(CodeInvalidRequest, 400, "Invalid key_count_limit of %d. Please specify an integer less than %d.", o.Limit, MaxListKeys)
	}
	if err := checkKeySize(o.Prefix); err != nil {
		return Page{}, err
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return Page{}, err
	}
	defer release()
	after, err := s.cursors.read(sp.id, o.Prefix, o.Cursor)
	if err != nil {
		return Page{}, err
	}
	keys, last, err := sp.list(ctx, o.Prefix, after, o.Limit, s.o.Now().Unix())
	if err != nil {
		return Page{}, internal("list the keys", err)
	}
	page := Page{Keys: keys}
	if last != "" {
		page.Cursor = s.cursors.make(sp.id, o.Prefix, last)
	}
	return page, nil
}

// list returns up to limit keys that follow after, and the key after which to go
// on, "" when nothing follows.
func (sp *space) list(ctx context.Context, prefix, after string, limit int, now int64) (keys []ListedKey, next string, err error) {
	query := "SELECT key, expires, metadata FROM entries WHERE key >= ?"
	from := prefix
	if after != "" {
		query = "SELECT key, expires, metadata FROM entries WHERE key > ?"
		from = after
	}
	args := []any{blobKey(from)}
	if end, ok := prefixEnd(prefix); ok {
		query += " AND key < ?"
		args = append(args, end)
	}
	rows, err := sp.db.Read().QueryContext(ctx, query+" ORDER BY key LIMIT ?", append(args, maxScan+1)...)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	keys = make([]ListedKey, 0, min(limit, 64))
	last := ""
	for seen := 0; rows.Next(); seen++ {
		if len(keys) == limit || seen == maxScan {
			return keys, last, nil
		}
		var key sql.RawBytes
		var expires sql.NullInt64
		var metadata []byte
		if err := rows.Scan(&key, &expires, &metadata); err != nil {
			return nil, "", fmt.Errorf("kv: list %s: %w", sp.id, err)
		}
		last = string(key)
		if expires.Int64 == 0 || expires.Int64 > now {
			keys = append(keys, ListedKey{Name: last, Expires: expires.Int64, Metadata: metadata})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("kv: list %s: %w", sp.id, err)
	}
	return keys, "", nil
}

// prefixEnd returns the first key that is greater than all with the prefix; ok
// is false when there is none.
func prefixEnd(prefix string) (end []byte, ok bool) {
	end = []byte(prefix)
	for len(end) > 0 {
		if last := len(end) - 1; end[last] < 0xff {
			end[last]++
			return end, true
		}
		end = end[:len(end)-1]
	}
	return nil, false
}
