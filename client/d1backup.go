package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// D1Backup names a state of a database and the files from which it can be made.
type D1Backup struct {
	Bookmark    string         `json:"bookmark"`
	Transaction string         `json:"transaction"` // its number, in hex
	Files       []D1BackupFile `json:"files"`
}

// D1BackupFile is an LTX file, or a segment of such.
type D1BackupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`             // bytes
	SHA256 string `json:"sha256,omitempty"` // of a copy, hex
}

// BackupD1 lists what a copy of a database as it is now needs.
func (c *Client) BackupD1(ctx context.Context, id string) (D1Backup, error) {
	return result[D1Backup](ctx, c, http.MethodGet, c.d1Path(id, "backup"), nil, nil)
}

// ReadD1Backup opens a file of a backup; the caller closes it. It has code 7404 when
// the file is gone: list the files again.
func (c *Client) ReadD1Backup(ctx context.Context, id string, f D1BackupFile) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: c.d1Path(id, "backup", f.Name), query: url.Values{"size": {strconv.FormatInt(f.Size, 10)}}}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ReplaceD1 puts an SQLite file of size bytes, of that SHA-256 digest (hex), in the
// place of a database. The file is opened anew for each attempt.
func (c *Client) ReplaceD1(ctx context.Context, id string, open func() (io.ReadCloser, error), size int64, digest string) (D1Restored, error) {
	r := request{
		method: http.MethodPut, path: c.d1Path(id, "backup"), query: url.Values{"sha256": {digest}},
		body: open, length: size, contentType: TypeData,
	}
	var out D1Restored
	err := c.send(ctx, &r, &out)
	return out, err
}
