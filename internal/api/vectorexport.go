package api

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

// exportHead is the first line of an export: what the index is.
type exportHead struct {
	Backup   int                 `json:"selvage_vectors"` // version of the format
	Name     string              `json:"name"`
	Config   indexConfigJSON     `json:"config"`
	Metadata []metadataIndexJSON `json:"metadataIndexes"`
	Count    int                 `json:"count"`
}

// exportTail is the last: without it the rest was cut off.
type exportTail struct {
	Count  int    `json:"count"`
	SHA256 string `json:"sha256"` // of all lines before
}

// exportIndex sends all vectors of an index as they are at one moment, one a line,
// between a line that says what the index is and one that says that this was all.
func exportIndex(c *call) (any, error) {
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	s := x.Snapshot()
	return stream(func(w http.ResponseWriter) error {
		defer x.Release()
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
		return errors.Join(c.writeExport(w, s), s.Close())
	}), nil
}

func (c *call) writeExport(w io.Writer, s *vectorize.Snapshot) error {
	digest := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, digest), 256<<10)
	head := exportHead{Backup: 1, Name: c.index(), Config: indexConfigJSON{Dimensions: s.Dimensions, Metric: s.Metric}, Count: s.Count, Metadata: metadataIndexesOf(s.Metadata)}
	raw, err := json.Marshal(head)
	if err != nil {
		return err
	}
	line := append(raw, '\n')
	if _, err := out.Write(line); err != nil {
		return err
	}
	count := 0
	err = s.Each(c.ctx(), func(v *vectorize.Vector) error {
		line = append(vecjson.Append(line[:0], v), '\n')
		count++
		_, err := out.Write(line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	raw, err = json.Marshal(exportTail{count, hex.EncodeToString(digest.Sum(nil))})
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// namespacesJSON says how the vectors are spread.
type namespacesJSON struct {
	Total   int             `json:"total"`
	Largest []namespaceSize `json:"largest"`
}

type namespaceSize struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// indexNamespaces shows the largest namespaces; it is ours.
func indexNamespaces(c *call) (any, error) {
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	const shown = 20
	largest, total := x.Spaces(shown)
	out := namespacesJSON{Total: total, Largest: make([]namespaceSize, len(largest))}
	for i, s := range largest {
		out.Largest[i] = namespaceSize{s.Name, s.Count}
	}
	return out, nil
}
