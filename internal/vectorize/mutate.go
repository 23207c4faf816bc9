package vectorize

import (
	"context"

	"github.com/google/uuid"
)

// Insert adds the vectors whose ids are not there; the others stay as they are.
// When it returns, the mutation is on disk and every query sees it.
func (x *Index) Insert(ctx context.Context, vectors []Vector) (uuid.UUID, error) {
	return x.put(ctx, opInsert, vectors)
}

// Upsert adds vectors and replaces those whose ids are there, wholly.
func (x *Index) Upsert(ctx context.Context, vectors []Vector) (uuid.UUID, error) {
	return x.put(ctx, opUpsert, vectors)
}

func (x *Index) put(ctx context.Context, op operation, vectors []Vector) (uuid.UUID, error) {
	if len(vectors) == 0 {
		return uuid.Nil, Fail(CodeParse, "there are no vectors in the request")
	}
	if err := x.limits.checkVectors(&x.Config, vectors); err != nil {
		return uuid.Nil, err
	}
	return x.mutate(ctx, mutation{op: op, vectors: vectors})
}

// Delete removes the vectors with these ids; that one is not there is no error.
func (x *Index) Delete(ctx context.Context, ids []string) (uuid.UUID, error) {
	if err := x.limits.checkIDs(ids, x.limits.DeleteIDs); err != nil {
		return uuid.Nil, err
	}
	return x.mutate(ctx, mutation{op: opDelete, ids: ids})
}

// CreateMetadataIndex lets filters ask for a property. As on the platform, it holds
// the vectors that are written from now on, and not those that were there.
func (x *Index) CreateMetadataIndex(ctx context.Context, property string, t IndexType) (uuid.UUID, error) {
	if !t.valid() {
		return uuid.Nil, Fail(CodeBody, "Failed to parse the request body as JSON: indexType: expected \"string\", \"number\" or \"boolean\"")
	}
	if problem := checkPath(property); problem != "" {
		return uuid.Nil, Fail(CodeMetadataIndex, "invalid property name %q: %s", clip(property), problem)
	}
	return x.mutate(ctx, mutation{op: opCreateIndex, metadata: MetadataIndex{Property: property, Type: t}})
}

// DeleteMetadataIndex removes a metadata index; the metadata stays.
func (x *Index) DeleteMetadataIndex(ctx context.Context, property string) (uuid.UUID, error) {
	return x.mutate(ctx, mutation{op: opDeleteIndex, metadata: MetadataIndex{Property: property}})
}

// MetadataIndexes returns the metadata indexes in the order they were made.
func (x *Index) MetadataIndexes() []MetadataIndex {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.meta // never changed in place
}

func (l *Limits) checkIDs(ids []string, most int) error {
	if len(ids) == 0 {
		return Fail(CodeBody, "there are no ids in the request")
	}
	if len(ids) > most {
		return Fail(CodeTooMany, "too many ids in payload; max id count is %d, got %d", most, len(ids))
	}
	for _, id := range ids {
		if len(id) > l.IDBytes {
			return Fail(CodeLongID, "id too long; max is %d bytes, got %d bytes", l.IDBytes, len(id))
		}
	}
	return nil
}
