package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// VectorExport is what an export of an index says of itself in its first line.
type VectorExport struct {
	Version         int                   `json:"selvage_vectors"`
	Name            string                `json:"name"`
	Config          VectorIndexConfig     `json:"config"`
	MetadataIndexes []VectorMetadataIndex `json:"metadataIndexes"`
	Count           int                   `json:"count"`
}

// ErrVectorExport says that an export is not whole.
var ErrVectorExport = errors.New("the export is not whole")

// maxExportLine bounds one vector of an export.
const maxExportLine = 2 << 20

// ExportVectors returns everything that an index holds at one moment, as
// [ReadVectorExport] reads it. The caller closes it.
func (c *Client) ExportVectors(ctx context.Context, name string) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: c.vectorPath(name, "export")}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ReadVectorExport reads an export: it calls head with its first line, then line for
// each vector, as JSON that is good until line returns. When it returns nil the
// export was whole and its checksum is right; else what line got may not be all.
func ReadVectorExport(r io.Reader, head func(VectorExport) error, line func(raw []byte) error) error {
	digest := sha256.New()
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxExportLine)
	var about VectorExport
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &about) != nil || about.Version != 1 {
		return errors.Join(fmt.Errorf("%w: it does not begin as one that this release reads", ErrVectorExport), lines.Err())
	}
	if err := head(about); err != nil {
		return err
	}
	hash := func(b []byte) {
		_, _ = digest.Write(b)            // never fails
		_, _ = digest.Write([]byte{'\n'}) // never fails
	}
	hash(lines.Bytes())
	var held []byte // the last line is no vector
	count := 0
	for lines.Scan() {
		if held != nil {
			hash(held)
			if err := line(held); err != nil {
				return err
			}
			count++
		}
		held = append(held[:0], lines.Bytes()...)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var tail struct {
		Count  *int   `json:"count"`
		SHA256 string `json:"sha256"`
	}
	switch {
	case json.Unmarshal(held, &tail) != nil || tail.Count == nil:
		return fmt.Errorf("%w: it breaks off after %d vectors", ErrVectorExport, count)
	case *tail.Count != count || tail.SHA256 != hex.EncodeToString(digest.Sum(nil)):
		return fmt.Errorf("%w: its checksum does not match", ErrVectorExport)
	}
	return nil
}
