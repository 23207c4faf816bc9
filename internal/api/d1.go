package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// D1 is what the door needs of the D1 service.
type D1 interface {
	Create(ctx context.Context, account string, o d1.CreateOptions) (d1.Info, error)
	Get(ctx context.Context, account, ref string) (d1.Info, error)
	List(ctx context.Context, account, name string, offset, limit int) (page []d1.Info, total int, err error)
	Delete(ctx context.Context, account, ref string) error
	Update(ctx context.Context, account, ref string, c d1.Changes) (d1.Info, error)
	Open(ctx context.Context, id string) (*d1.Database, error)
	Imports
	Insights
}

// Imports runs files of statements.
type Imports interface {
	BeginImport(ctx context.Context, id, digest string) (d1.ImportStatus, error)
	Upload(ctx context.Context, id, digest string, r io.Reader) error
	Ingest(ctx context.Context, id, digest string) (d1.ImportStatus, error)
	PollImport(ctx context.Context, id string) (d1.ImportStatus, error)
}

const (
	d1Path    = accountPath + "/d1/database"
	d1OnePath = d1Path + "/{database}"
	// Statements have limits of their own; this bounds a text of many.
	d1Body = 64 << 20
)

func d1Routes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: d1Path, Scope: accounts.ScopeD1Read, Handler: listDatabases},
		{Method: http.MethodPost, Pattern: d1Path, Scope: accounts.ScopeD1Write, MaxBody: smallBody, Handler: createDatabase},
		{Method: http.MethodGet, Pattern: d1OnePath, Scope: accounts.ScopeD1Read, Handler: getDatabase},
		{Method: http.MethodPatch, Pattern: d1OnePath, Scope: accounts.ScopeD1Write, MaxBody: smallBody, Handler: patchDatabase},
		{Method: http.MethodPut, Pattern: d1OnePath, Scope: accounts.ScopeD1Write, MaxBody: smallBody, Handler: patchDatabase},
		{Method: http.MethodDelete, Pattern: d1OnePath, Scope: accounts.ScopeD1Write, Handler: deleteDatabase},
		{Method: http.MethodPost, Pattern: d1OnePath + "/query", Scope: accounts.ScopeD1Write, MaxBody: d1Body, Handler: queryDatabase},
		{Method: http.MethodPost, Pattern: d1OnePath + "/raw", Scope: accounts.ScopeD1Write, MaxBody: d1Body, Handler: rawDatabase},
	}
}

// d1Status is the HTTP status of an error of the service.
func d1Status(code int) int {
	switch code {
	case d1.CodeNotFound:
		return http.StatusNotFound
	case d1.CodeExists:
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

type databaseJSON struct {
	UUID            string          `json:"uuid"`
	Name            string          `json:"name"`
	Version         string          `json:"version"`
	CreatedAt       time.Time       `json:"created_at"`
	FileSize        int64           `json:"file_size"` // bytes
	NumTables       int             `json:"num_tables"`
	Durability      d1.Durability   `json:"durability"` // ours
	ReadReplication replicationJSON `json:"read_replication"`
}

type replicationJSON struct {
	Mode d1.ReadReplication `json:"mode"`
}

func databaseOf(i *d1.Info, tables int) databaseJSON {
	return databaseJSON{
		UUID: i.ID, Name: i.Name, Version: "production", CreatedAt: i.CreatedAt, FileSize: i.FileSize, NumTables: tables,
		Durability: i.Durability, ReadReplication: replicationJSON{i.ReadReplication},
	}
}

func listDatabases(c *call) (any, error) {
	n, per, err := pageParams(c.query(), defaultPerPage)
	if err != nil {
		return nil, err
	}
	all, total, err := c.D1.List(c.ctx(), c.account(), c.query().Get("name"), (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	items := make([]databaseJSON, len(all))
	for i := range all {
		items[i] = databaseOf(&all[i], 0)
	}
	return paged{Items: items, Info: newResultInfo(n, per, len(items), total)}, nil
}

func createDatabase(c *call) (any, error) {
	var in struct {
		Name       string        `json:"name"`
		Durability d1.Durability `json:"durability"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	info, err := c.D1.Create(c.ctx(), c.account(), d1.CreateOptions{Name: in.Name, Durability: in.Durability})
	if err != nil {
		return nil, err
	}
	return databaseOf(&info, 0), nil
}

// getDatabase finds a database by id or name and counts its tables.
func getDatabase(c *call) (any, error) {
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	tables, err := c.countTables(info.ID)
	if err != nil {
		return nil, err
	}
	return databaseOf(&info, tables), nil
}

func (c *call) countTables(id string) (int, error) {
	var tables oneNumber
	err := c.onDatabase(id, []d1.Query{{SQL: `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`}}, &tables)
	return int(tables), err
}

// oneNumber takes the first value of the first row.
type oneNumber int64

// Reset implements d1.Sink.
func (n *oneNumber) Reset() { *n = 0 }

// Result implements d1.Sink.
func (n *oneNumber) Result(_ int, r *d1.Result) {
	if r.Count > 0 {
		v, _ := native.Next(r.Rows)
		*n = oneNumber(v.Int)
	}
}

func deleteDatabase(c *call) (any, error) {
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	return nil, c.D1.Delete(c.ctx(), c.account(), info.ID)
}

func queryDatabase(c *call) (any, error) { return c.runQueries(false) }
func rawDatabase(c *call) (any, error)   { return c.runQueries(true) }

type queryJSON struct {
	SQL    string            `json:"sql"`
	Params []json.RawMessage `json:"params"`
}

// queries turns the text of a call, with its parameters, into statements.
func (q *queryJSON) queries() ([]d1.Query, error) {
	texts := native.Split(q.SQL)
	texts = dropBlank(texts)
	if len(texts) == 0 {
		return nil, errf(codeBadRequest, "the text holds no SQL statement")
	}
	if len(texts) > 1 && len(q.Params) > 0 {
		return nil, errf(codeBadRequest, "parameters go with one statement, the text has %d; send them as \"batch\": [{\"sql\":…,\"params\":[…]}, …]", len(texts))
	}
	out := make([]d1.Query, len(texts))
	for i, text := range texts {
		out[i].SQL = text
	}
	for _, p := range q.Params {
		if err := d1.AppendParam(&out[0].Args, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func dropBlank(texts []string) []string {
	kept := texts[:0]
	for _, t := range texts {
		if !native.Blank(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// runQueries runs the statements of a call as one transaction.
func (c *call) runQueries(raw bool) (any, error) {
	var in struct {
		queryJSON

		Batch []queryJSON `json:"batch"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Batch == nil {
		in.Batch = []queryJSON{in.queryJSON}
	}
	var queries []d1.Query
	for i := range in.Batch {
		more, err := in.Batch[i].queries()
		if err != nil {
			return nil, err
		}
		queries = append(queries, more...)
	}
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	sink := restSink{raw: raw}
	if err := c.onDatabase(info.ID, queries, &sink); err != nil {
		return nil, err
	}
	return sink.results, nil
}

func (c *call) onDatabase(id string, queries []d1.Query, sink d1.Sink) error {
	db, err := c.D1.Open(c.ctx(), id)
	if err != nil {
		return err
	}
	defer db.Release()
	return db.Do(c.ctx(), queries, sink)
}

// restSink makes the results of the API: rows as objects, or with raw as a table.
type restSink struct {
	raw     bool
	results []json.RawMessage
}

// Reset implements d1.Sink.
func (s *restSink) Reset() { s.results = nil }

// Result implements d1.Sink.
func (s *restSink) Result(_ int, r *d1.Result) {
	out := []byte(`{"success":true,"results":`)
	if s.raw {
		out = r.AppendTable(out)
	} else {
		out = native.AppendObjects(out, r.Rows, r.Columns)
	}
	out = r.Meta.AppendJSON(append(out, `,"meta":`...))
	s.results = append(s.results, append(out, '}'))
}
