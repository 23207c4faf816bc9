package api

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/workers"
)

const (
	objectsPath = accountPath + "/workers/durable_objects/namespaces"
	// How many objects one answer lists, and at most.
	objectsPage, maxObjectsPage = 1000, 10_000
)

func objectRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: objectsPath, Scope: accounts.ScopeWorkersRead, Handler: listObjectNamespaces},
		{Method: http.MethodGet, Pattern: objectsPath + "/{namespace}", Scope: accounts.ScopeWorkersRead, Handler: getObjectNamespace},
		{Method: http.MethodGet, Pattern: objectsPath + "/{namespace}/objects", Scope: accounts.ScopeWorkersRead, Handler: listObjects},
	}
}

type objectNamespaceJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Script    string `json:"script"`
	Class     string `json:"class"`
	UseSQLite bool   `json:"use_sqlite"`
	CreatedOn stamp  `json:"created_on"`
}

func newObjectNamespace(n *workers.Namespace) objectNamespaceJSON {
	return objectNamespaceJSON{ID: n.ID, Name: n.Script + "_" + n.Class, Script: n.Script, Class: n.Class, UseSQLite: n.UseSQLite, CreatedOn: stamp(n.CreatedAt)}
}

// getObjectNamespace is what "wrangler pages download config" asks for.
func getObjectNamespace(c *call) (any, error) {
	n, err := c.Workers.ObjectNamespace(c.ctx(), c.account(), c.params["namespace"])
	if err != nil {
		return nil, err
	}
	return newObjectNamespace(&n), nil
}

func listObjectNamespaces(c *call) (any, error) {
	n, per, err := pageParams(c.query(), maxPerPage)
	if err != nil {
		return nil, err
	}
	page, total, err := c.Workers.ObjectNamespaces(c.ctx(), c.account(), (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := make([]objectNamespaceJSON, len(page))
	for i, x := range page {
		out[i] = newObjectNamespace(&x)
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(out), total)}, nil
}

type objectJSON struct {
	ID            string `json:"id"`
	HasStoredData bool   `json:"hasStoredData"`
}

// objectCursor is the last id of the page before.
var objectCursor = regexp.MustCompile(`^[0-9a-f]{64}$`)

func listObjects(c *call) (any, error) {
	q := c.query()
	limit, err := intParam(q, "limit", objectsPage, 1, maxObjectsPage)
	if err != nil {
		return nil, err
	}
	cursor := q.Get("cursor")
	if cursor != "" && !objectCursor.MatchString(cursor) {
		return nil, errf(codeBadRequest, "query parameter cursor is not one that this list gave out")
	}
	ids, more, err := c.Workers.Objects(c.ctx(), c.account(), c.params["namespace"], cursor, limit)
	if err != nil {
		return nil, err
	}
	out := make([]objectJSON, len(ids))
	for i, id := range ids {
		out[i] = objectJSON{ID: id, HasStoredData: true}
	}
	info := cursorInfo{Count: len(out)}
	if more {
		info.Cursor = ids[len(ids)-1]
	}
	return cursored{Items: out, Info: info}, nil
}

// exportsReportJSON is the part of a deployment's answer about declared exports; nil when there were none.
func exportsReportJSON(r *workers.ExportsReport) json.RawMessage {
	if r == nil {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil { // lists of texts always encode
		return nil
	}
	return raw
}
