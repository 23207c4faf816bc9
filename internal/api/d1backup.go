package api

import (
	"io"
	"net/http"
	"strconv"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/d1"
)

// The backup of a database is no call of the original; the CLI makes it.
func d1BackupRoutes() []route {
	const backup = d1OnePath + "/backup"
	return []route{
		{Method: http.MethodGet, Pattern: backup, Scope: accounts.ScopeD1Read, Handler: listBackup},
		{Method: http.MethodGet, Pattern: backup + "/{file}", Scope: accounts.ScopeD1Read, Handler: readBackup},
		{Method: http.MethodPut, Pattern: backup, Scope: accounts.ScopeD1Write, MaxBody: d1.MaxRestoreSize, Handler: replaceDatabase},
	}
}

type backupJSON struct {
	Bookmark    string           `json:"bookmark"`
	Transaction string           `json:"transaction"` // 16 hex digits
	Files       []backupFileJSON `json:"files"`
}

type backupFileJSON struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

func listBackup(c *call) (any, error) {
	db, err := c.openNamed()
	if err != nil {
		return nil, err
	}
	defer db.Release()
	b, err := db.Backup(c.ctx())
	if err != nil {
		return nil, err
	}
	out := backupJSON{Bookmark: b.Bookmark, Transaction: strconv.FormatUint(uint64(b.ID), 16)}
	for _, f := range b.Files {
		out.Files = append(out.Files, backupFileJSON{f.Name(), f.Size})
	}
	return out, nil
}

// readBackup streams a file of the size that the list said: one may have grown since.
func readBackup(c *call) (any, error) {
	size, err := strconv.ParseInt(c.query().Get("size"), 10, 64)
	if err != nil {
		return nil, errf(codeBadRequest, "size is not the number of bytes that the list says")
	}
	db, err := c.openNamed()
	if err != nil {
		return nil, err
	}
	in, err := db.OpenHistory(c.ctx(), c.params["file"], size)
	if err != nil {
		db.Release()
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		defer db.Release()
		defer in.Close() //nolint:errcheck // only read
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, err := io.Copy(w, in)
		return err
	}), nil
}

// replaceDatabase puts the SQLite file in the body in the place of a database.
func replaceDatabase(c *call) (any, error) {
	db, err := c.openNamed()
	if err != nil {
		return nil, err
	}
	defer db.Release()
	r, err := db.ReplaceBy(c.ctx(), c.r.Body, c.query().Get("sha256"))
	if err != nil {
		return nil, err
	}
	return restoredOf(r), nil
}
