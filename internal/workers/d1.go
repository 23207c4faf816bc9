package workers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const typeD1 = "d1"

// d1Module is the module of the runtime that makes the object of a D1 binding.
const d1Module = "cloudflare-internal:d1-api"

// Databases is what this service needs to know of D1 databases.
type Databases interface {
	Exists(ctx context.Context, account, id string) (bool, error)
}

// D1Door is a socket through which a process reaches one database.
type D1Door struct {
	Socket   string // file name in the private folder
	Database string // id
}

// checkDatabases refuses a version whose D1 bindings, inherited ones included,
// name databases that are not there.
func (s *Service) checkDatabases(ctx context.Context, account string, doc *document) error {
	for _, b := range doc.Bindings {
		switch {
		case b.Type != typeD1:
			continue
		case s.o.Databases == nil:
			return refuseType(b.Name, b.Type)
		case b.DatabaseID == "":
			// wrangler knows this text.
			return invalidScript("binding %s of type d1 must have a valid `id` specified", b.Name)
		}
		ok, err := s.o.Databases.Exists(ctx, account, b.DatabaseID)
		if err != nil {
			return internal("look up a D1 database", err)
		}
		if !ok {
			return fail(CodeDatabaseMissing, 400, "D1 database '%s' not found. The binding %q names it; \"d1 list\" shows those there are.", clip(b.DatabaseID), b.Name)
		}
	}
	return nil
}

// d1Doors returns one door for each database that the version binds.
func (d *document) d1Doors() []D1Door {
	var doors []D1Door
	for _, b := range d.Bindings {
		if b.Type == typeD1 && !slices.ContainsFunc(doors, func(k D1Door) bool { return k.Database == b.DatabaseID }) {
			doors = append(doors, D1Door{Socket: "d1-" + strconv.Itoa(len(doors)) + ".sock", Database: b.DatabaseID})
		}
	}
	return doors
}

// d1Binding is what the process gets of a D1 binding.
func (d *document) d1Binding(b *binding) (workerd.Binding, error) {
	doors := d.d1Doors()
	i := slices.IndexFunc(doors, func(k D1Door) bool { return k.Database == b.DatabaseID })
	if i < 0 {
		return workerd.Binding{}, fmt.Errorf("no door leads to the D1 database %s", b.DatabaseID)
	}
	fetcher := workerd.Binding{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: doors[i].Socket, TagRay: true}
	return workerd.Binding{Name: b.Name, Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{Module: d1Module, Inner: []workerd.Binding{fetcher}}}, nil
}
