package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/d1"
)

// changesJSON is what PATCH and PUT of a database take. What cannot be changed is refused, not
// ignored.
type changesJSON struct {
	ReadReplication *struct {
		Mode *d1.ReadReplication `json:"mode"`
	} `json:"read_replication"`
	Name       *string `json:"name"`
	Durability *string `json:"durability"`
}

// patchDatabase answers PATCH, and PUT, whose fields must be there.
func patchDatabase(c *call) (any, error) {
	var in changesJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Name != nil {
		return nil, errf(codeBadRequest, "the name of a database cannot be changed; create another, and export and import its contents")
	}
	if in.Durability != nil {
		return nil, errf(codeBadRequest, "the durability of a database cannot be changed; create another, and export and import its contents")
	}
	if c.r.Method == http.MethodPut && in.ReadReplication == nil {
		return nil, errf(codeBadRequest, "read_replication is missing: PUT takes {\"read_replication\": {\"mode\": \"auto\"}}, with \"auto\" or \"disabled\"")
	}
	var changes d1.Changes
	if in.ReadReplication != nil {
		if in.ReadReplication.Mode == nil {
			return nil, errf(codeBadRequest, "read_replication.mode is missing: \"auto\" or \"disabled\"")
		}
		changes.ReadReplication = in.ReadReplication.Mode
	}
	info, err := c.D1.Update(c.ctx(), c.account(), c.params["database"], changes)
	if err != nil {
		return nil, err
	}
	tables, err := c.countTables(info.ID)
	if err != nil {
		return nil, err
	}
	return databaseOf(&info, tables), nil
}
