package api

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/d1"
)

func d1TravelRoutes() []route {
	const travel = d1OnePath + "/time_travel"
	return append(d1BackupRoutes(), []route{
		{Method: http.MethodGet, Pattern: travel + "/bookmark", Scope: accounts.ScopeD1Read, Handler: bookmarkAt},
		{Method: http.MethodPost, Pattern: travel + "/restore", Scope: accounts.ScopeD1Write, MaxBody: smallBody, Handler: restoreDatabase},
	}...)
}

// momentParam reads a time: RFC 3339, or seconds since 1970. Without one it is zero.
func momentParam(q url.Values, key string) (time.Time, error) {
	text := q.Get(key)
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1<<40 {
		return time.Unix(n, 0), nil
	}
	return time.Time{}, errf(codeBadRequest, "%s is no time; use one as 2026-11-24T10:00:00Z, or seconds since 1970", key)
}

// openNamed opens the database that the path names by its id or its name.
func (c *call) openNamed() (*d1.Database, error) {
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	return c.D1.Open(c.ctx(), info.ID)
}

// bookmarkAt names the state at a time, or the one now.
func bookmarkAt(c *call) (any, error) {
	at, err := momentParam(c.query(), "timestamp")
	if err != nil {
		return nil, err
	}
	db, err := c.openNamed()
	if err != nil {
		return nil, err
	}
	defer db.Release()
	bookmark, err := db.BookmarkAt(c.ctx(), at)
	if err != nil {
		return nil, err
	}
	return map[string]string{"bookmark": bookmark}, nil
}

type restoredJSON struct {
	Bookmark string `json:"bookmark"`
	Previous string `json:"previous_bookmark"`
	Current  string `json:"current_bookmark"` // ours
	Message  string `json:"message"`
}

func restoredOf(r d1.Restored) restoredJSON {
	return restoredJSON{
		Bookmark: r.Bookmark, Previous: r.Previous, Current: r.Current,
		Message: "The database was restored. To undo it, restore to the previous bookmark.",
	}
}

// restoreDatabase puts a database back to the state of a bookmark or of a time.
func restoreDatabase(c *call) (any, error) {
	q := c.query()
	at, err := momentParam(q, "timestamp")
	if err != nil {
		return nil, err
	}
	t := d1.Target{Bookmark: q.Get("bookmark"), At: at}
	if (t.Bookmark == "") == at.IsZero() {
		return nil, errf(codeBadRequest, "name the state by bookmark or by timestamp, one of them")
	}
	db, err := c.openNamed()
	if err != nil {
		return nil, err
	}
	defer db.Release()
	r, err := db.Restore(c.ctx(), t)
	if err != nil {
		return nil, err
	}
	return restoredOf(r), nil
}
