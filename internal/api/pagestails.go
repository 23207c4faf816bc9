package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/workers"
)

const (
	pagesTailsPath = pagesDepOne + "/tails"
	pagesTailPath  = pagesTailsPath + "/{tail}"
)

func pagesTailRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: pagesTailsPath, Scope: accounts.ScopeLogsRead, MaxBody: smallBody, Handler: createPagesTail},
		{Method: http.MethodPost, Pattern: ownPath + "/pages/{project}/deployments/{deployment}/tail", Scope: accounts.ScopeLogsRead, MaxBody: smallBody, Handler: followPagesTail},
		{Method: http.MethodDelete, Pattern: pagesTailPath, Scope: accounts.ScopeLogsRead, Handler: deletePagesTail},
		{Method: http.MethodGet, Pattern: pagesTailPath + "/events", Secret: true, Handler: readPagesTail},
	}
}

// sitesTopic is what is watched: the code of a project, whose versions are those
// of its deployments.
func (c *call) sitesTopic() tail.Script {
	return tail.Script{Account: c.account(), Name: workers.SiteScript(c.project())}
}

func createPagesTail(c *call) (any, error) {
	t, err := c.openPagesTail()
	if err != nil {
		return nil, err
	}
	return c.tailAddress(t, "/pages/projects/"+c.project()+"/deployments/"+c.deployment()), nil
}

// followPagesTail is a tail without a WebSocket.
func followPagesTail(c *call) (any, error) {
	t, err := c.openPagesTail()
	if err != nil {
		return nil, err
	}
	return c.streamTail(t), nil
}

func (c *call) openPagesTail() (*tail.Tail, error) {
	f, err := c.tailFilter()
	if err != nil {
		return nil, err
	}
	d, err := c.Pages.Deployment(c.ctx(), c.account(), c.project(), c.deployment())
	if err != nil {
		return nil, err
	}
	if d.Version == "" {
		return nil, errf(codeBadRequest, "the deployment %s has no Functions, so there is nothing to watch", d.Short)
	}
	f.Versions = []string{d.Version}
	return c.watch(c.sitesTopic(), f)
}

func deletePagesTail(c *call) (any, error) {
	c.Tails.Delete(c.sitesTopic(), c.params["tail"])
	return nil, nil //nolint:nilnil // the envelope's result is null
}

func readPagesTail(c *call) (any, error) { return c.readTail(c.sitesTopic()) }
