package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/pages"
)

// Pages is what the door needs of the service of sites.
type Pages interface {
	PagesProjects
	PagesDeployments
	PagesDomains
	UploadToken(ctx context.Context, account, project string) (string, error)
	Missing(ctx context.Context, token string, hashes []string) ([]string, error)
	Uploader(ctx context.Context, token string) (*pages.Uploader, error)
	Hostname(project string) string
	// URL is the address of a host as visitors reach it.
	URL(host string) string
}

// PagesProjects makes, changes and deletes projects.
type PagesProjects interface {
	CreateProject(ctx context.Context, account string, n pages.NewProject) (pages.Project, error)
	Project(ctx context.Context, account, name string) (pages.Project, error)
	Projects(ctx context.Context, account string, offset, limit int) (all []pages.Project, total int, err error)
	PatchProject(ctx context.Context, account, name string, p pages.ProjectPatch) (pages.Project, error)
	DeleteProject(ctx context.Context, account, name string) error
}

// PagesDeployments makes deployments and says which of them serve.
type PagesDeployments interface {
	Deploy(ctx context.Context, account, project string, q *pages.DeployRequest) (pages.Deployment, error)
	Deployment(ctx context.Context, account, project, id string) (pages.Deployment, error)
	Deployments(ctx context.Context, account, project, environment string, offset, limit int) (all []pages.Deployment, total int, err error)
	DeleteDeployment(ctx context.Context, account, project, id string, force bool) error
	Log(ctx context.Context, account, project, id string) ([]pages.LogLine, error)
	Retry(ctx context.Context, account, project, id string) (pages.Deployment, error)
	Rollback(ctx context.Context, account, project, id string) (pages.Deployment, error)
	Promote(ctx context.Context, account, project, id string) (pages.Deployment, error)
}

const (
	pagesPath      = accountPath + "/pages/projects"
	pagesOnePath   = pagesPath + "/{project}"
	pagesDepPath   = pagesOnePath + "/deployments"
	pagesDepOne    = pagesDepPath + "/{deployment}"
	pagesAssetPath = "/pages/assets"
	// A list of 20,000 hashes takes 700 KB.
	pagesHashes = 8 << 20
	// A client puts 40 MiB of files into one request, as base64 text.
	pagesUpload = 128 << 20
)

func (s *server) pagesRoutes() []route {
	deploy := s.MaxScriptSize + s.MaxSourceMaps + manifestBody + formOverhead
	ticket := pages.ActionUpload
	return []route{
		{Method: http.MethodGet, Pattern: pagesPath, Scope: accounts.ScopePagesRead, Handler: listPagesProjects},
		{Method: http.MethodPost, Pattern: pagesPath, Scope: accounts.ScopePagesWrite, MaxBody: jsonBody, Handler: createPagesProject},
		{Method: http.MethodGet, Pattern: pagesOnePath, Scope: accounts.ScopePagesRead, Handler: getPagesProject},
		{Method: http.MethodPatch, Pattern: pagesOnePath, Scope: accounts.ScopePagesWrite, MaxBody: jsonBody, Handler: patchPagesProject},
		{Method: http.MethodDelete, Pattern: pagesOnePath, Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: deletePagesProject},
		{Method: http.MethodGet, Pattern: pagesOnePath + "/upload-token", Scope: accounts.ScopePagesWrite, Handler: getPagesUploadToken},
		{Method: http.MethodGet, Pattern: pagesDepPath, Scope: accounts.ScopePagesRead, Handler: listPagesDeployments},
		{Method: http.MethodPost, Pattern: pagesDepPath, Scope: accounts.ScopePagesWrite, MaxBody: deploy, Handler: createPagesDeployment},
		{Method: http.MethodGet, Pattern: pagesDepOne, Scope: accounts.ScopePagesRead, Handler: getPagesDeployment},
		{Method: http.MethodDelete, Pattern: pagesDepOne, Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: deletePagesDeployment},
		{Method: http.MethodGet, Pattern: pagesDepOne + "/history/logs", Scope: accounts.ScopePagesRead, Handler: getPagesLog},
		{Method: http.MethodPost, Pattern: pagesDepOne + "/retry", Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: retryPagesDeployment},
		{Method: http.MethodPost, Pattern: pagesDepOne + "/rollback", Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: rollbackPages},
		{Method: http.MethodPost, Pattern: ownPath + "/pages/{project}/deployments/{deployment}/promote", Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: promotePages},
		{Method: http.MethodPost, Pattern: pagesAssetPath + "/check-missing", Ticket: ticket, BadTicket: pages.CodeUploadToken, MaxBody: pagesHashes, Handler: checkPagesAssets},
		{Method: http.MethodPost, Pattern: pagesAssetPath + "/upsert-hashes", Ticket: ticket, BadTicket: pages.CodeUploadToken, MaxBody: pagesHashes, Handler: upsertPagesHashes},
		{Method: http.MethodPost, Pattern: pagesAssetPath + "/upload", Ticket: ticket, BadTicket: pages.CodeUploadToken, MaxBody: pagesUpload, Handler: uploadPagesAssets},
	}
}

func (c *call) project() string { return c.params["project"] }

func (c *call) deployment() string { return c.params["deployment"] }

func listPagesProjects(c *call) (any, error) {
	n, per, err := pageParams(c.query(), defaultPerPage)
	if err != nil {
		return nil, err
	}
	all, total, err := c.Pages.Projects(c.ctx(), c.account(), (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := make([]pagesProjectJSON, len(all))
	for i := range all {
		out[i] = c.pagesProject(&all[i])
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(out), total)}, nil
}

type pagesProjectInput struct {
	Name    string             `json:"name"`
	Branch  *string            `json:"production_branch"`
	Build   json.RawMessage    `json:"build_config"`
	Configs pages.ConfigsPatch `json:"deployment_configs"`
	Source  json.RawMessage    `json:"source"`
}

func (c *call) pagesInput() (in pagesProjectInput, err error) {
	if err := c.decode(&in); err != nil {
		return in, err
	}
	if len(in.Source) > 0 && string(in.Source) != "null" {
		return in, notOffered("a project with a source repository")
	}
	if string(in.Build) == "null" {
		in.Build = nil
	}
	return in, nil
}

func createPagesProject(c *call) (any, error) {
	in, err := c.pagesInput()
	if err != nil {
		return nil, err
	}
	n := pages.NewProject{Name: in.Name, Build: in.Build, Configs: in.Configs}
	if in.Branch != nil {
		n.Branch = *in.Branch
	}
	p, err := c.Pages.CreateProject(c.ctx(), c.account(), n)
	if err != nil {
		return nil, err
	}
	return c.pagesProject(&p), nil
}

func getPagesProject(c *call) (any, error) {
	p, err := c.Pages.Project(c.ctx(), c.account(), c.project())
	if err != nil {
		return nil, err
	}
	return c.pagesProject(&p), nil
}

func patchPagesProject(c *call) (any, error) {
	in, err := c.pagesInput()
	if err != nil {
		return nil, err
	}
	if in.Name != "" && in.Name != c.project() {
		return nil, notOffered("to rename a project")
	}
	p, err := c.Pages.PatchProject(c.ctx(), c.account(), c.project(), pages.ProjectPatch{Branch: in.Branch, Build: in.Build, Configs: in.Configs})
	if err != nil {
		return nil, err
	}
	return c.pagesProject(&p), nil
}

func deletePagesProject(c *call) (any, error) {
	return nil, c.Pages.DeleteProject(c.ctx(), c.account(), c.project())
}

func listPagesDeployments(c *call) (any, error) {
	q := c.query()
	const most = 25 // wrangler's own page, which it does not ask for
	n, per, err := pageParams(q, most)
	if err != nil {
		return nil, err
	}
	env := q.Get("env")
	if env != "" && env != pages.Production && env != pages.Preview {
		return nil, errf(codeBadRequest, "query parameter env is %q; give production or preview", env)
	}
	all, total, err := c.Pages.Deployments(c.ctx(), c.account(), c.project(), env, (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := make([]pagesDeploymentJSON, len(all))
	for i := range all {
		out[i] = newPagesDeployment(&all[i])
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(out), total)}, nil
}

func getPagesDeployment(c *call) (any, error) {
	return pagesResult(c.Pages.Deployment(c.ctx(), c.account(), c.project(), c.deployment()))
}

func retryPagesDeployment(c *call) (any, error) {
	return pagesResult(c.Pages.Retry(c.ctx(), c.account(), c.project(), c.deployment()))
}

func rollbackPages(c *call) (any, error) {
	return pagesResult(c.Pages.Rollback(c.ctx(), c.account(), c.project(), c.deployment()))
}

func promotePages(c *call) (any, error) {
	return pagesResult(c.Pages.Promote(c.ctx(), c.account(), c.project(), c.deployment()))
}

func pagesResult(d pages.Deployment, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return newPagesDeployment(&d), nil
}

func deletePagesDeployment(c *call) (any, error) {
	force := c.query().Get("force") == "true"
	return nil, c.Pages.DeleteDeployment(c.ctx(), c.account(), c.project(), c.deployment(), force)
}

func getPagesLog(c *call) (any, error) {
	lines, err := c.Pages.Log(c.ctx(), c.account(), c.project(), c.deployment())
	if err != nil {
		return nil, err
	}
	return struct {
		Total   int             `json:"total"`
		Data    []pages.LogLine `json:"data"`
		Include bool            `json:"includes_container_logs"`
	}{len(lines), list(lines), true}, nil
}

func getPagesUploadToken(c *call) (any, error) {
	token, err := c.Pages.UploadToken(c.ctx(), c.account(), c.project())
	if err != nil {
		return nil, err
	}
	return sessionOnlyJSON{JWT: token}, nil
}

type sessionOnlyJSON struct {
	JWT string `json:"jwt"`
}
