package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/d1"
)

// Actions of the tickets in the URLs that an import uploads to and an export
// downloads from: wrangler calls them without its token.
const (
	actionD1Upload   = "d1.upload"
	actionD1Download = "d1.download"
	d1TicketLife     = time.Hour
)

func d1TransferRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: d1OnePath + "/import", Scope: accounts.ScopeD1Write, MaxBody: smallBody, Handler: importDatabase},
		{Method: http.MethodPut, Pattern: d1OnePath + "/import/{digest}", Ticket: actionD1Upload, InQuery: true, MaxBody: d1.MaxImportSize + 1, Handler: uploadImport},
		{Method: http.MethodPost, Pattern: d1OnePath + "/export", Scope: accounts.ScopeD1Read, MaxBody: jsonBody, Handler: exportDatabase},
		{Method: http.MethodGet, Pattern: d1OnePath + "/export/file", Ticket: actionD1Download, InQuery: true, Handler: downloadExport},
	}
}

// transferJSON is the answer to every step of an import or an export.
type transferJSON struct {
	Success    bool          `json:"success"`
	Type       string        `json:"type"`
	Status     string        `json:"status,omitempty"`
	Messages   []string      `json:"messages"`
	Errors     []string      `json:"errors,omitempty"`
	Error      string        `json:"error,omitempty"`
	AtBookmark string        `json:"at_bookmark,omitempty"`
	Progress   *progressJSON `json:"progress,omitempty"` // ours
	UploadURL  string        `json:"upload_url,omitempty"`
	Filename   string        `json:"filename,omitempty"`
	Result     any           `json:"result,omitempty"`
}

type progressJSON struct {
	Bytes int64 `json:"bytes"`
	Total int64 `json:"total"`
}

type importedJSON struct {
	NumQueries    int64          `json:"num_queries"`
	FinalBookmark string         `json:"final_bookmark"`
	Meta          importMetaJSON `json:"meta"`
}

type importMetaJSON struct {
	ServedBy    string  `json:"served_by"`
	Duration    float64 `json:"duration"` // ms
	Changes     int64   `json:"changes"`
	ChangedDB   bool    `json:"changed_db"`
	RowsRead    int64   `json:"rows_read"`
	RowsWritten int64   `json:"rows_written"`
	SizeAfter   int64   `json:"size_after"`
}

// importDatabase is every step of an import but the upload itself.
func importDatabase(c *call) (any, error) {
	var in struct {
		Action string `json:"action"`
		Etag   string `json:"etag"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	var status d1.ImportStatus
	switch in.Action {
	case "init":
		status, err = c.D1.BeginImport(c.ctx(), info.ID, in.Etag)
	case "ingest":
		status, err = c.D1.Ingest(c.ctx(), info.ID, in.Etag)
	case "poll":
		status, err = c.D1.PollImport(c.ctx(), info.ID)
	default:
		return nil, errf(codeBadRequest, "the action %q is none of an import: init, ingest, poll", in.Action)
	}
	if err != nil {
		return nil, err
	}
	if status.State == d1.ImportWaiting {
		return transferJSON{
			Success: true, Type: "import", Messages: []string{}, Filename: in.Etag + ".sql",
			UploadURL: c.ticketURL(info.ID, "/import/"+in.Etag, actionD1Upload, in.Etag, nil),
		}, nil
	}
	return importAnswer(&status), nil
}

func importAnswer(s *d1.ImportStatus) transferJSON {
	out := transferJSON{Success: true, Type: "import", Status: string(s.State), Messages: []string{}, AtBookmark: s.Bookmark}
	switch s.State { //nolint:exhaustive // waiting has another answer
	case d1.ImportActive:
		out.Progress = &progressJSON{Bytes: s.Bytes, Total: s.Total}
		out.Messages = []string{fmt.Sprintf("%d statements, %d of %d MB", s.Statements, s.Bytes/1_000_000, s.Total/1_000_000)}
	case d1.ImportFailed:
		f := public(s.Err)
		if failed, ok := errors.AsType[*d1.ImportError](s.Err); ok && !failed.Err.Broken() {
			f.Message = failed.Error()
		}
		out.Error, out.Errors = f.Message, []string{f.Message}
	case d1.ImportComplete:
		out.Result = importedJSON{
			NumQueries: s.Statements, FinalBookmark: s.Bookmark,
			Meta: importMetaJSON{
				ServedBy: "selvage", Duration: float64(s.Duration.Microseconds()) / 1000, Changes: s.Meta.Changes, ChangedDB: true,
				RowsRead: s.Meta.RowsRead, RowsWritten: s.Meta.RowsWritten, SizeAfter: s.Meta.SizeAfter,
			},
		}
	}
	return out
}

// ticketURL is an address of this API, as the caller reached it, that needs no
// token for an hour.
func (c *call) ticketURL(database, path, action, object string, q url.Values) string {
	if q == nil {
		q = url.Values{}
	}
	q.Set("ticket", c.Accounts.IssueTicket(accounts.Ticket{
		Account: c.account(), Object: database + "/" + object, Action: action, Expires: time.Now().Add(d1TicketLife),
	}))
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host + "/client/v4/accounts/" + c.account() + "/d1/database/" + database + path + "?" + q.Encode()
}

// uploadImport takes the file of an import. What has arrived whole answers with
// its digest as ETag.
func uploadImport(c *call) (any, error) {
	id, digest := c.params["database"], c.params["digest"]
	if c.object != id+"/"+digest {
		return nil, errf(codeUnauthorized, "the upload URL is for another file; begin the import again")
	}
	if err := c.D1.Upload(c.ctx(), id, digest, c.r.Body); err != nil {
		return nil, err
	}
	c.w.Header().Set("Etag", `"`+digest+`"`)
	return map[string]string{"etag": digest}, nil
}

// exportDatabase hands out the address from which the dump is read: it is made
// while it is downloaded, so there is nothing to wait for.
func exportDatabase(c *call) (any, error) {
	var in struct {
		OutputFormat string `json:"output_format"`
		Options      struct {
			NoSchema      bool     `json:"no_schema"`
			NoData        bool     `json:"no_data"`
			Tables        []string `json:"tables"`
			Compatibility string   `json:"compatibility"`
		} `json:"dump_options"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.OutputFormat != "" && in.OutputFormat != "polling" {
		return nil, errf(codeBadRequest, "output_format %q is not offered; use polling", in.OutputFormat)
	}
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	db, err := c.D1.Open(c.ctx(), info.ID)
	if err != nil {
		return nil, err
	}
	defer db.Release()
	if err := db.CheckExport(c.ctx(), d1.ExportOptions{Tables: in.Options.Tables}); err != nil {
		return nil, err
	}
	q := url.Values{"table": in.Options.Tables}
	q.Set("no_schema", strconv.FormatBool(in.Options.NoSchema))
	q.Set("no_data", strconv.FormatBool(in.Options.NoData))
	filename := info.Name + ".sql"
	return transferJSON{
		Success: true, Type: "export", Status: "complete", Messages: []string{}, AtBookmark: db.Bookmark(),
		Result: map[string]string{"filename": filename, "signed_url": c.ticketURL(info.ID, "/export/file", actionD1Download, "export", q)},
	}, nil
}

// downloadExport streams the dump. One that breaks off has no last chunk, which
// its reader notices.
func downloadExport(c *call) (any, error) {
	id := c.params["database"]
	if c.object != id+"/export" {
		return nil, errf(codeUnauthorized, "the download URL is for another database; begin the export again")
	}
	q := c.query()
	noSchema, err := boolParam(q, "no_schema")
	if err != nil {
		return nil, err
	}
	noData, err := boolParam(q, "no_data")
	if err != nil {
		return nil, err
	}
	db, err := c.D1.Open(c.ctx(), id)
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		defer db.Release()
		w.Header().Set("Content-Type", "application/sql; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		return db.Export(c.ctx(), w, d1.ExportOptions{NoSchema: noSchema, NoData: noData, Tables: q["table"]})
	}), nil
}
