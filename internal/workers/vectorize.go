package workers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const typeVectorize = "vectorize"

// VectorIndexes is what this service needs to know of vector indexes.
type VectorIndexes interface {
	// IndexVersion returns which API made the index, "v1" or "v2"; ok is false when
	// there is none.
	IndexVersion(ctx context.Context, account, name string) (version string, ok bool, err error)
}

// VectorDoor is a socket through which a process reaches one vector index.
type VectorDoor struct {
	Socket string // file name in the private folder
	Index  string // its name: one that takes the place of a deleted one is reached by the same binding
}

// checkVectorIndexes refuses a version whose vectorize bindings, inherited ones
// included, name indexes that are not there. It notes what form each speaks.
func (s *Service) checkVectorIndexes(ctx context.Context, account string, doc *document) error {
	for i := range doc.Bindings {
		b := &doc.Bindings[i]
		switch {
		case b.Type != typeVectorize:
			continue
		case s.o.VectorIndexes == nil:
			return refuseType(b.Name, b.Type)
		case b.IndexName == "":
			return invalidScript("binding %s of type vectorize must have a valid `index_name` specified", b.Name)
		}
		version, ok, err := s.o.VectorIndexes.IndexVersion(ctx, account, b.IndexName)
		if err != nil {
			return internal("look up a vector index", err)
		}
		if !ok {
			return fail(CodeIndexMissing, 400, "Vectorize binding '%s' references index '%s' which was not found. \"vectorize list\" shows those there are.", b.Name, clip(b.IndexName))
		}
		b.IndexVersion = version
	}
	return nil
}

// vectorDoors returns one door for each index that the version binds.
func (d *document) vectorDoors() []VectorDoor {
	var doors []VectorDoor
	for i := range d.Bindings {
		b := &d.Bindings[i]
		if b.Type == typeVectorize && !slices.ContainsFunc(doors, func(k VectorDoor) bool { return k.Index == b.IndexName }) {
			doors = append(doors, VectorDoor{Socket: "vectorize-" + strconv.Itoa(len(doors)) + ".sock", Index: b.IndexName})
		}
	}
	return doors
}

// vectorBinding is what the process gets of a vectorize binding.
func (d *document) vectorBinding(b *binding) (workerd.Binding, error) {
	doors := d.vectorDoors()
	i := slices.IndexFunc(doors, func(k VectorDoor) bool { return k.Index == b.IndexName })
	if i < 0 {
		return workerd.Binding{}, fmt.Errorf("no door leads to the vector index %s", b.IndexName)
	}
	return workerd.Binding{Name: b.Name, Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{
		Module: workerd.ModuleVectorize,
		Inner: []workerd.Binding{
			{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: doors[i].Socket, TagRay: true},
			{Name: "indexId", Kind: workerd.TextBinding, Text: b.IndexName},
			{Name: "indexVersion", Kind: workerd.TextBinding, Text: b.IndexVersion},
			{Name: "useNdJson", Kind: workerd.JSONBinding, Text: "true"},
		},
	}}, nil
}
