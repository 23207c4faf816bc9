package client

import (
	"context"
	"crypto/md5" //nolint:gosec // see ImportD1
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// D1Progress is how far an import is.
type D1Progress struct {
	Step        string // "uploading" or "importing"
	Done, Total int64  // bytes
}

// D1Imported is what an import did.
type D1Imported struct {
	NumQueries    int64  `json:"num_queries"`
	FinalBookmark string `json:"final_bookmark"`
	Meta          D1Meta `json:"meta"`
}

// d1Transfer is the API's answer to every step of an import or an export.
type d1Transfer struct {
	Status    string   `json:"status"`
	Messages  []string `json:"messages"`
	Error     string   `json:"error"`
	UploadURL string   `json:"upload_url"`
	Progress  struct {
		Bytes int64 `json:"bytes"`
		Total int64 `json:"total"`
	} `json:"progress"`
	Result struct {
		D1Imported

		SignedURL string `json:"signed_url"`
	} `json:"result"`
}

// ImportD1 runs a file of SQL statements as one transaction: when it fails, nothing
// has changed. What was uploaded before is not uploaded again. Report, unless nil,
// is called now and then.
func (c *Client) ImportD1(ctx context.Context, id string, file io.ReadSeeker, report func(D1Progress)) (D1Imported, error) {
	if report == nil {
		report = func(D1Progress) {}
	}
	sum := md5.New() //nolint:gosec // the protocol's digest: it finds damage, it authenticates nothing
	size, err := io.Copy(sum, file)
	if err != nil {
		return D1Imported{}, fmt.Errorf("read the file to import: %w", err)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	step := func(action string) (d1Transfer, error) {
		return result[d1Transfer](ctx, c, http.MethodPost, c.d1Path(id, "import"), nil, map[string]string{"action": action, "etag": digest})
	}
	state, err := step("init")
	if err == nil && state.UploadURL != "" {
		report(D1Progress{"uploading", 0, size})
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return D1Imported{}, fmt.Errorf("read the file to import: %w", err)
		}
		if err := c.uploadD1(ctx, state.UploadURL, file, size); err != nil {
			return D1Imported{}, err
		}
		state, err = step("ingest")
	}
	for err == nil && state.Status == "active" {
		report(D1Progress{"importing", state.Progress.Bytes, state.Progress.Total})
		state, err = step("poll")
	}
	switch {
	case err != nil:
		return D1Imported{}, err
	case state.Status != "complete":
		return D1Imported{}, errors.New(state.Error)
	}
	return state.Result.D1Imported, nil
}

func (c *Client) uploadD1(ctx context.Context, url string, file io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, file)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	req.ContentLength = size
	res, err := c.options.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // part of it is better than nothing
		return fmt.Errorf("upload: %s: %s", res.Status, text)
	}
	return nil
}

// D1ExportOptions choose what is exported.
type D1ExportOptions struct {
	NoSchema bool     `json:"no_schema,omitempty"`
	NoData   bool     `json:"no_data,omitempty"`
	Tables   []string `json:"tables,omitempty"` // these alone; empty for all
}

// ExportD1 writes one state of a database as SQL statements. After an error what w
// got is not all.
func (c *Client) ExportD1(ctx context.Context, id string, o D1ExportOptions, w io.Writer) error {
	in := map[string]any{"output_format": "polling", "dump_options": o}
	state, err := result[d1Transfer](ctx, c, http.MethodPost, c.d1Path(id, "export"), nil, in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, state.Result.SignedURL, nil)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	res, err := c.options.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("export: %s", res.Status)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("export: it broke off: %w", err)
	}
	return nil
}
