package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Codes of D1 that callers branch on.
const (
	CodeD1NotFound = 7404
	CodeD1Exists   = 7502
	CodeD1Query    = 7500 // a statement is at fault
)

// D1Database is an SQLite database for apps.
type D1Database struct {
	UUID       string    `json:"uuid"`
	Name       string    `json:"name"`
	CreatedAt  time.Time `json:"created_at"`
	FileSize   int64     `json:"file_size"`  // bytes
	NumTables  int       `json:"num_tables"` // of a single database; 0 in a list
	Durability string    `json:"durability"` // "full" or "normal"
}

// D1Result is what one statement returned.
type D1Result struct {
	Results json.RawMessage `json:"results"` // an array of rows, each an object
	Success bool            `json:"success"`
	Meta    D1Meta          `json:"meta"`
}

// D1Meta is what a statement did and cost.
type D1Meta struct {
	Duration    float64 `json:"duration"` // ms
	Changes     int64   `json:"changes"`
	LastRowID   int64   `json:"last_row_id"`
	ChangedDB   bool    `json:"changed_db"`
	SizeAfter   int64   `json:"size_after"` // bytes
	RowsRead    int64   `json:"rows_read"`
	RowsWritten int64   `json:"rows_written"`
}

func (c *Client) d1Path(segments ...string) string {
	return c.path(append([]string{"d1", "database"}, segments...)...)
}

// CreateD1 makes a database. It has code 7502 when there is one of that name.
func (c *Client) CreateD1(ctx context.Context, name string) (D1Database, error) {
	return result[D1Database](ctx, c, http.MethodPost, c.d1Path(), nil, map[string]string{"name": name})
}

// D1Databases lists all databases, the newest first.
func (c *Client) D1Databases(ctx context.Context) ([]D1Database, error) {
	const per = 1000
	all := []D1Database{}
	for page := 1; ; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(per)}}
		some, err := result[[]D1Database](ctx, c, http.MethodGet, c.d1Path(), q, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < per {
			return all, nil
		}
	}
}

// D1 returns the database of an id or a name.
func (c *Client) D1(ctx context.Context, ref string) (D1Database, error) {
	return result[D1Database](ctx, c, http.MethodGet, c.d1Path(ref), nil, nil)
}

// DeleteD1 removes a database with all that is in it.
func (c *Client) DeleteD1(ctx context.Context, id string) error {
	_, err := result[json.RawMessage](ctx, c, http.MethodDelete, c.d1Path(id), nil, nil)
	return err
}

// QueryD1 runs the statements of a text as one transaction. Params go with a single
// statement: null, booleans, numbers, strings, and arrays of bytes.
func (c *Client) QueryD1(ctx context.Context, id, sql string, params ...any) ([]D1Result, error) {
	in := map[string]any{"sql": sql}
	if len(params) > 0 {
		in["params"] = params
	}
	return result[[]D1Result](ctx, c, http.MethodPost, c.d1Path(id, "query"), nil, in)
}
