package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/wire"
)

// Vectorize is what the door needs of the Vectorize service.
type Vectorize interface {
	Create(ctx context.Context, account string, o vectorize.CreateOptions) (vectorize.Info, error)
	Get(ctx context.Context, account, name string) (vectorize.Info, error)
	List(ctx context.Context, account, after string, limit int) ([]vectorize.Info, error)
	Delete(ctx context.Context, account, name string) error
	Open(ctx context.Context, account, name string) (*vectorize.Index, error)
	Limits() vectorize.Limits
}

const (
	vectorPath    = accountPath + "/vectorize/v2/indexes"
	vectorOnePath = vectorPath + "/{index}"
	// The first API, which wrangler's --deprecated-v1 speaks.
	vectorPathV1    = accountPath + "/vectorize/indexes"
	vectorOnePathV1 = vectorPathV1 + "/{index}"

	// The most that vectors may have; the service's limit is asked for too.
	vectorBody = 100_000_000
	// A vector of 4096 numbers with all of their digits, and a filter, fit into it.
	queryBody = 1 << 20
	// How many indexes one page of a list has.
	vectorPage = 1000
)

func vectorizeRoutes() []route {
	const read, write = accounts.ScopeVectorizeRead, accounts.ScopeVectorizeWrite
	return []route{
		{Method: http.MethodGet, Pattern: vectorPath, Scope: read, Handler: listIndexes},
		{Method: http.MethodPost, Pattern: vectorPath, Scope: write, MaxBody: smallBody, Handler: createIndex},
		{Method: http.MethodGet, Pattern: vectorOnePath, Scope: read, Handler: getIndex},
		{Method: http.MethodDelete, Pattern: vectorOnePath, Scope: write, Handler: deleteIndex},
		{Method: http.MethodGet, Pattern: vectorOnePath + "/info", Scope: read, Handler: indexInfo},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/insert", Scope: write, MaxBody: vectorBody, TooLarge: vectorize.CodeTooLarge, Handler: insertVectors},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/upsert", Scope: write, MaxBody: vectorBody, TooLarge: vectorize.CodeTooLarge, Handler: upsertVectors},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/query", Scope: read, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: queryVectors},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/get_by_ids", Scope: read, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: getVectors},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/delete_by_ids", Scope: write, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: deleteVectors},
		{Method: http.MethodGet, Pattern: vectorOnePath + "/list", Scope: read, Handler: listVectors},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/metadata_index/create", Scope: write, MaxBody: smallBody, Handler: createMetadataIndex},
		{Method: http.MethodPost, Pattern: vectorOnePath + "/metadata_index/delete", Scope: write, MaxBody: smallBody, Handler: deleteMetadataIndex},
		{Method: http.MethodGet, Pattern: vectorOnePath + "/metadata_index/list", Scope: read, Handler: listMetadataIndexes},
		// Ours.
		{Method: http.MethodGet, Pattern: vectorOnePath + "/export", Scope: read, Handler: exportIndex},
		{Method: http.MethodGet, Pattern: vectorOnePath + "/namespaces", Scope: read, Handler: indexNamespaces},

		{Method: http.MethodGet, Pattern: vectorPathV1, Scope: read, Handler: listIndexes},
		{Method: http.MethodPost, Pattern: vectorPathV1, Scope: write, MaxBody: smallBody, Handler: createIndexV1},
		{Method: http.MethodGet, Pattern: vectorOnePathV1, Scope: read, Handler: getIndex},
		{Method: http.MethodDelete, Pattern: vectorOnePathV1, Scope: write, Handler: deleteIndex},
		{Method: http.MethodPost, Pattern: vectorOnePathV1 + "/insert", Scope: write, MaxBody: vectorBody, TooLarge: vectorize.CodeTooLarge, Handler: insertVectorsV1},
		{Method: http.MethodPost, Pattern: vectorOnePathV1 + "/upsert", Scope: write, MaxBody: vectorBody, TooLarge: vectorize.CodeTooLarge, Handler: upsertVectorsV1},
		{Method: http.MethodPost, Pattern: vectorOnePathV1 + "/query", Scope: read, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: queryVectors},
		{Method: http.MethodPost, Pattern: vectorOnePathV1 + "/get-by-ids", Scope: read, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: getVectors},
		{Method: http.MethodPost, Pattern: vectorOnePathV1 + "/delete-by-ids", Scope: write, MaxBody: queryBody, TooLarge: vectorize.CodeTooLarge, Handler: deleteVectorsV1},
	}
}

type indexJSON struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Config      indexConfigJSON `json:"config"`
	CreatedOn   time.Time       `json:"created_on"`
	ModifiedOn  time.Time       `json:"modified_on"`
}

type indexConfigJSON struct {
	Dimensions int              `json:"dimensions"`
	Metric     vectorize.Metric `json:"metric"`
	Preset     string           `json:"preset,omitempty"`
}

func indexOf(i *vectorize.Info) indexJSON {
	return indexJSON{i.Name, i.Description, indexConfigJSON{i.Dimensions, i.Metric, i.Preset}, i.CreatedAt, i.ModifiedAt}
}

func (c *call) index() string { return c.params["index"] }

// openIndex opens the index of the path; the caller Releases it.
func (c *call) openIndex() (*vectorize.Index, error) {
	return c.Vectorize.Open(c.ctx(), c.account(), c.index())
}

// bytes reads the whole body, which the route bounds.
func (c *call) bytes() ([]byte, error) { return io.ReadAll(c.r.Body) }

func listIndexes(c *call) (any, error) {
	after, err := base64.RawURLEncoding.DecodeString(c.query().Get("cursor"))
	if err != nil {
		return nil, vectorize.Fail(vectorize.CodeCursor, "invalid cursor: it is not one that a list of indexes returned")
	}
	all, err := c.Vectorize.List(c.ctx(), c.account(), string(after), vectorPage)
	if err != nil {
		return nil, err
	}
	out := cursored{Info: cursorInfo{Count: len(all)}}
	if len(all) == vectorPage {
		out.Info.Cursor = base64.RawURLEncoding.EncodeToString([]byte(all[len(all)-1].Name))
	}
	items := make([]indexJSON, len(all))
	for i := range all {
		items[i] = indexOf(&all[i])
	}
	out.Items = items
	return out, nil
}

func createIndex(c *call) (any, error)   { return c.createIndex("v2") }
func createIndexV1(c *call) (any, error) { return c.createIndex("v1") }

func (c *call) createIndex(version string) (any, error) {
	var in struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Config      indexConfigJSON `json:"config"`
	}
	if err := c.decode(&in); err != nil {
		if own, ok := errors.AsType[*apiError](err); ok {
			return nil, vectorize.Fail(vectorize.CodeBody, "Failed to parse the request body as JSON: %s", own.Message)
		}
		return nil, err
	}
	info, err := c.Vectorize.Create(c.ctx(), c.account(), vectorize.CreateOptions{
		Name: in.Name, Description: in.Description, Config: vectorize.Config{Dimensions: in.Config.Dimensions, Metric: in.Config.Metric},
		Preset: in.Config.Preset, Version: version,
	})
	if err != nil {
		return nil, err
	}
	return indexOf(&info), nil
}

func getIndex(c *call) (any, error) {
	info, err := c.Vectorize.Get(c.ctx(), c.account(), c.index())
	if err != nil {
		return nil, err
	}
	return indexOf(&info), nil
}

func deleteIndex(c *call) (any, error) {
	return nil, c.Vectorize.Delete(c.ctx(), c.account(), c.index())
}

func indexInfo(c *call) (any, error) {
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	stats := x.Stats()
	return json.RawMessage(wire.AppendInfo(nil, x.Dimensions, &stats)), nil
}

type mutationJSON struct {
	MutationID uuid.UUID `json:"mutationId"`
}

func insertVectors(c *call) (any, error) { return c.mutation(c.putVectors("insert")) }
func upsertVectors(c *call) (any, error) { return c.mutation(c.putVectors("upsert")) }

func (c *call) mutation(id uuid.UUID, _ []string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return mutationJSON{id}, nil
}

func (c *call) putVectors(kind string) (id uuid.UUID, ids []string, err error) {
	x, err := c.openIndex()
	if err != nil {
		return uuid.Nil, nil, err
	}
	defer x.Release()
	limits := c.Vectorize.Limits()
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, limits.BodyBytes)
	vectors, err := wire.Vectors(c.r.Body, c.r.Header.Get("Content-Type"), kind, limits.BatchAPI, x.Dimensions)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return uuid.Nil, nil, &vectorize.Error{Code: vectorize.CodeTooLarge, Status: http.StatusRequestEntityTooLarge, Err: err, Message: tooManyBytes(large.Limit)}
	}
	if err != nil {
		return uuid.Nil, nil, err
	}
	ids = make([]string, len(vectors))
	for i := range vectors {
		ids[i] = vectors[i].ID
	}
	if kind == "insert" {
		id, err = x.Insert(c.ctx(), vectors)
	} else {
		id, err = x.Upsert(c.ctx(), vectors)
	}
	return id, ids, err
}

func queryVectors(c *call) (any, error) {
	body, err := c.bytes()
	if err != nil {
		return nil, err
	}
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	q, err := wire.Query(body, x.Dimensions)
	if err != nil {
		return nil, err
	}
	matches, err := x.Query(q)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(wire.AppendMatches(nil, matches)), nil
}

// withIDs reads the ids of a call and runs fn on its index.
func (c *call) withIDs(fn func(x *vectorize.Index, ids []string) (any, error)) (any, error) {
	body, err := c.bytes()
	if err != nil {
		return nil, err
	}
	ids, err := wire.IDs(body)
	if err != nil {
		return nil, err
	}
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	return fn(x, ids)
}

func getVectors(c *call) (any, error) {
	return c.withIDs(func(x *vectorize.Index, ids []string) (any, error) {
		vectors, err := x.Get(ids)
		if err != nil {
			return nil, err
		}
		return json.RawMessage(wire.AppendVectors(nil, vectors)), nil
	})
}

func deleteVectors(c *call) (any, error) {
	return c.withIDs(func(x *vectorize.Index, ids []string) (any, error) {
		id, err := x.Delete(c.ctx(), ids)
		return c.mutation(id, nil, err)
	})
}
