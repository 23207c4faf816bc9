package api

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/wire"
)

func tooManyBytes(limit int64) string {
	return fmt.Sprintf("the upload is larger than the %d bytes that one call may have; send the vectors in several", limit)
}

// resultV1 is what the first API answers to a mutation.
type resultV1 struct {
	IDs   []string `json:"ids"`
	Count int      `json:"count"`
}

func insertVectorsV1(c *call) (any, error) { return resultOfV1(c.putVectors("insert")) }
func upsertVectorsV1(c *call) (any, error) { return resultOfV1(c.putVectors("upsert")) }

func resultOfV1(_ uuid.UUID, ids []string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return resultV1{IDs: ids, Count: len(ids)}, nil
}

func deleteVectorsV1(c *call) (any, error) {
	return c.withIDs(func(x *vectorize.Index, ids []string) (any, error) {
		_, err := x.Delete(c.ctx(), ids)
		return resultOfV1(uuid.Nil, ids, err)
	})
}

type vectorListJSON struct {
	Count      int            `json:"count"`
	TotalCount int            `json:"totalCount"`
	Truncated  bool           `json:"isTruncated"`
	NextCursor *string        `json:"nextCursor"`
	Expires    *time.Time     `json:"cursorExpirationTimestamp"`
	Vectors    []vectorIDJSON `json:"vectors"`
}

type vectorIDJSON struct {
	ID string `json:"id"`
}

func listVectors(c *call) (any, error) {
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	count, err := intParam(c.query(), "count", 0, 1, c.Vectorize.Limits().ListPage)
	if err != nil {
		return nil, err
	}
	p, err := x.List(count, c.query().Get("cursor"))
	if err != nil {
		return nil, err
	}
	out := vectorListJSON{Count: len(p.IDs), TotalCount: p.Total, Vectors: make([]vectorIDJSON, len(p.IDs))}
	for i, id := range p.IDs {
		out.Vectors[i].ID = id
	}
	if p.Cursor != "" {
		out.Truncated, out.NextCursor, out.Expires = true, &p.Cursor, &p.Expires
	}
	return out, nil
}

func createMetadataIndex(c *call) (any, error) {
	return c.onMetadataIndex(func(x *vectorize.Index, property string, t vectorize.IndexType) (uuid.UUID, error) {
		return x.CreateMetadataIndex(c.ctx(), property, t)
	})
}

func deleteMetadataIndex(c *call) (any, error) {
	return c.onMetadataIndex(func(x *vectorize.Index, property string, _ vectorize.IndexType) (uuid.UUID, error) {
		return x.DeleteMetadataIndex(c.ctx(), property)
	})
}

func (c *call) onMetadataIndex(fn func(x *vectorize.Index, property string, t vectorize.IndexType) (uuid.UUID, error)) (any, error) {
	body, err := c.bytes()
	if err != nil {
		return nil, err
	}
	property, t, err := wire.MetadataIndex(body)
	if err != nil {
		return nil, err
	}
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	id, err := fn(x, property, t)
	return c.mutation(id, nil, err)
}

type metadataIndexJSON struct {
	PropertyName string              `json:"propertyName"`
	IndexType    vectorize.IndexType `json:"indexType"`
}

func listMetadataIndexes(c *call) (any, error) {
	x, err := c.openIndex()
	if err != nil {
		return nil, err
	}
	defer x.Release()
	return struct {
		MetadataIndexes []metadataIndexJSON `json:"metadataIndexes"`
	}{metadataIndexesOf(x.MetadataIndexes())}, nil
}

func metadataIndexesOf(all []vectorize.MetadataIndex) []metadataIndexJSON {
	out := make([]metadataIndexJSON, len(all))
	for i, m := range all {
		out[i] = metadataIndexJSON{m.Property, m.Type}
	}
	return out
}
