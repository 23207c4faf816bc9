package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Codes of Vectorize that callers branch on.
const (
	CodeVectorizeNotFound = 3000
	CodeVectorizeExists   = 3002
	CodeVectorizeDeleted  = 3005
)

// MaxVectorBatch is how many vectors one call may bring.
const MaxVectorBatch = 5000

// VectorIndex is a vector index.
type VectorIndex struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Config      VectorIndexConfig `json:"config"`
	CreatedOn   time.Time         `json:"created_on,omitzero"`
}

// VectorIndexConfig is what an index is made with: a preset, or the other two.
type VectorIndexConfig struct {
	Dimensions int    `json:"dimensions,omitempty"`
	Metric     string `json:"metric,omitempty"` // cosine, euclidean or dot-product
	Preset     string `json:"preset,omitempty"`
}

// VectorIndexInfo is what an index holds.
type VectorIndexInfo struct {
	Dimensions            int        `json:"dimensions"`
	VectorCount           int        `json:"vectorCount"`
	ProcessedUpToMutation *string    `json:"processedUpToMutation"`
	ProcessedUpToDatetime *time.Time `json:"processedUpToDatetime"`
}

// Vector is a vector with what belongs to it.
type Vector struct {
	ID        string          `json:"id"`
	Namespace string          `json:"namespace,omitempty"`
	Values    []float32       `json:"values,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
}

// VectorMatch is one that a query found.
type VectorMatch struct {
	Vector

	Score float64 `json:"score"`
}

// VectorQuery asks for the nearest vectors.
type VectorQuery struct {
	Vector         []float32       `json:"vector,omitempty"`
	VectorID       string          `json:"vectorId,omitempty"`
	TopK           int             `json:"topK,omitempty"`
	Namespace      *string         `json:"namespace,omitempty"`
	Filter         json.RawMessage `json:"filter,omitempty"`
	ReturnValues   bool            `json:"returnValues,omitempty"`
	ReturnMetadata string          `json:"returnMetadata,omitempty"` // none, indexed or all
	// Exact compares with every vector; it is selvage's own.
	Exact bool `json:"exact,omitempty"`
}

// VectorMetadataIndex lets filters ask for a property of metadata.
type VectorMetadataIndex struct {
	PropertyName string `json:"propertyName"`
	IndexType    string `json:"indexType"` // string, number or boolean
}

// VectorNamespaces says how an index's vectors are spread.
type VectorNamespaces struct {
	Total   int `json:"total"`
	Largest []struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
	} `json:"largest"`
}

func (c *Client) vectorPath(segments ...string) string {
	return c.path(append([]string{"vectorize", "v2", "indexes"}, segments...)...)
}

// CreateVectorIndex makes an index. It has code 3002 when there is one of that name.
func (c *Client) CreateVectorIndex(ctx context.Context, x VectorIndex) (VectorIndex, error) { //nolint:gocritic // it is sent
	return result[VectorIndex](ctx, c, http.MethodPost, c.vectorPath(), nil, x)
}

// VectorIndexes lists all indexes by name.
func (c *Client) VectorIndexes(ctx context.Context) ([]VectorIndex, error) {
	return result[[]VectorIndex](ctx, c, http.MethodGet, c.vectorPath(), nil, nil)
}

// VectorIndex returns the index of a name.
func (c *Client) VectorIndex(ctx context.Context, name string) (VectorIndex, error) {
	return result[VectorIndex](ctx, c, http.MethodGet, c.vectorPath(name), nil, nil)
}

// VectorIndexInfo returns what an index holds.
func (c *Client) VectorIndexInfo(ctx context.Context, name string) (VectorIndexInfo, error) {
	return result[VectorIndexInfo](ctx, c, http.MethodGet, c.vectorPath(name, "info"), nil, nil)
}

// VectorNamespaces returns the largest namespaces of an index.
func (c *Client) VectorNamespaces(ctx context.Context, name string) (VectorNamespaces, error) {
	return result[VectorNamespaces](ctx, c, http.MethodGet, c.vectorPath(name, "namespaces"), nil, nil)
}

// DeleteVectorIndex removes an index with all that is in it.
func (c *Client) DeleteVectorIndex(ctx context.Context, name string) error {
	_, err := result[json.RawMessage](ctx, c, http.MethodDelete, c.vectorPath(name), nil, nil)
	return err
}

// mutation is the answer to all that changes an index.
type mutation struct {
	MutationID string `json:"mutationId"`
}

// PutVectors adds vectors: with upsert those whose ids are there are replaced, else
// they stay as they are. Lines is newline-delimited JSON of at most [MaxVectorBatch].
func (c *Client) PutVectors(ctx context.Context, name string, upsert bool, lines []byte) (mutationID string, err error) { //nolint:revive // two calls of the API
	call := "insert"
	if upsert {
		call = "upsert"
	}
	r := request{method: http.MethodPost, path: c.vectorPath(name, call), contentType: "application/x-ndjson", length: int64(len(lines))}
	r.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(lines)), nil }
	var m mutation
	err = c.send(ctx, &r, &m)
	return m.MutationID, err
}

// QueryVectors returns the nearest vectors, the nearest first.
func (c *Client) QueryVectors(ctx context.Context, name string, q VectorQuery) ([]VectorMatch, error) { //nolint:gocritic // it is sent
	out, err := result[struct {
		Matches []VectorMatch `json:"matches"`
	}](ctx, c, http.MethodPost, c.vectorPath(name, "query"), nil, q)
	return out.Matches, err
}

type vectorIDs struct {
	IDs []string `json:"ids"`
}

// Vectors returns the vectors of some ids.
func (c *Client) Vectors(ctx context.Context, name string, ids ...string) ([]Vector, error) {
	return result[[]Vector](ctx, c, http.MethodPost, c.vectorPath(name, "get_by_ids"), nil, vectorIDs{ids})
}

// DeleteVectors removes the vectors of some ids.
func (c *Client) DeleteVectors(ctx context.Context, name string, ids ...string) (mutationID string, err error) {
	m, err := result[mutation](ctx, c, http.MethodPost, c.vectorPath(name, "delete_by_ids"), nil, vectorIDs{ids})
	return m.MutationID, err
}

// VectorIDs returns a page of an index's ids in their order; next is "" at the end.
func (c *Client) VectorIDs(ctx context.Context, name, cursor string, count int) (ids []string, next string, err error) {
	q := url.Values{"count": {strconv.Itoa(count)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	page, err := result[struct {
		NextCursor string   `json:"nextCursor"`
		Vectors    []Vector `json:"vectors"`
	}](ctx, c, http.MethodGet, c.vectorPath(name, "list"), q, nil)
	for i := range page.Vectors {
		ids = append(ids, page.Vectors[i].ID)
	}
	return ids, page.NextCursor, err
}

// CreateVectorMetadataIndex lets filters ask for a property.
func (c *Client) CreateVectorMetadataIndex(ctx context.Context, name string, m VectorMetadataIndex) error {
	_, err := result[mutation](ctx, c, http.MethodPost, c.vectorPath(name, "metadata_index", "create"), nil, m)
	return err
}

// VectorMetadataIndexes lists the properties that filters can ask for.
func (c *Client) VectorMetadataIndexes(ctx context.Context, name string) ([]VectorMetadataIndex, error) {
	out, err := result[struct {
		MetadataIndexes []VectorMetadataIndex `json:"metadataIndexes"`
	}](ctx, c, http.MethodGet, c.vectorPath(name, "metadata_index", "list"), nil, nil)
	return out.MetadataIndexes, err
}
