package api

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/pages"
)

type pagesProjectJSON struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Subdomain  string               `json:"subdomain"`
	Domains    []string             `json:"domains"`
	Branch     string               `json:"production_branch"`
	Configs    pagesConfigsJSON     `json:"deployment_configs"`
	Build      map[string]any       `json:"build_config"`
	CreatedOn  stamp                `json:"created_on"`
	Latest     *pagesDeploymentJSON `json:"latest_deployment"`
	Canonical  *pagesDeploymentJSON `json:"canonical_deployment"`
	Production string               `json:"production_script_name"`
	Functions  bool                 `json:"uses_functions"`
	// URLs are the addresses of production as visitors reach them, with their scheme.
	URLs []string `json:"urls"`
}

type pagesConfigsJSON struct {
	Production map[string]any `json:"production"`
	Preview    map[string]any `json:"preview"`
}

func (c *call) pagesProject(p *pages.Project) pagesProjectJSON {
	host := c.Pages.Hostname(p.Name)
	first := c.Pages.URL(host)
	_, address, _ := strings.Cut(first, "://")
	urls := []string{first}
	for _, h := range c.Pages.HostsOf(p.Name) {
		if !strings.HasPrefix(h, "*.") {
			urls = append(urls, c.Pages.URL(h))
		}
	}
	out := pagesProjectJSON{
		ID: p.ID, Name: p.Name, Subdomain: address, Domains: append([]string{address}, c.Pages.HostsOf(p.Name)...), Branch: p.Branch, URLs: urls,
		Configs: pagesConfigsJSON{pagesConfig(&p.Configs.Production), pagesConfig(&p.Configs.Preview)},
		Build:   pagesBuild(p.Build), CreatedOn: stamp(p.CreatedAt), Production: "pages:" + p.Name,
	}
	if p.Latest != nil {
		d := newPagesDeployment(p.Latest)
		out.Latest = &d
	}
	if p.Production != nil {
		d := newPagesDeployment(p.Production)
		out.Canonical, out.Functions = &d, p.Production.Functions
	}
	return out
}

// pagesBuild shows how a project is built. Clients read all of these keys.
func pagesBuild(given json.RawMessage) map[string]any {
	out := map[string]any{"build_command": "", "destination_dir": "", "root_dir": "", "web_analytics_tag": nil, "web_analytics_token": nil}
	if len(given) > 0 {
		_ = json.Unmarshal(given, &out) // it was decoded when it was given
	}
	return out
}

// pagesConfig shows what deployments are made with. Clients read all maps of
// bindings, so they are there when they are empty.
func pagesConfig(c *pages.Config) map[string]any {
	out := map[string]any{"fail_open": true, "always_use_latest_compatibility_date": false, "usage_model": "standard"}
	for _, kind := range pages.ResourceKinds() {
		all := make(map[string]json.RawMessage)
		maps.Copy(all, c.Resources[kind])
		out[kind] = all
	}
	for key, raw := range c.More {
		out[key] = raw
	}
	out["env_vars"] = pagesVars(c.Vars)
	if c.Date != "" {
		out["compatibility_date"] = c.Date
	}
	out["compatibility_flags"] = list(c.Flags)
	return out
}

type pagesVarJSON struct {
	Type  string `json:"type"`
	Value string `json:"value"` // "" for a secret
}

func pagesVars(vars map[string]pages.Var) map[string]pagesVarJSON {
	out := make(map[string]pagesVarJSON, len(vars))
	for name, v := range vars {
		out[name] = pagesVarJSON{Type: v.Type, Value: v.Text}
	}
	return out
}

type pagesStageJSON struct {
	Name      string `json:"name"`
	StartedOn *stamp `json:"started_on"`
	EndedOn   *stamp `json:"ended_on"`
	Status    string `json:"status"`
}

type pagesDeploymentJSON struct {
	ID          string                  `json:"id"`
	ShortID     string                  `json:"short_id"`
	ProjectID   string                  `json:"project_id"`
	ProjectName string                  `json:"project_name"`
	Environment string                  `json:"environment"`
	URL         string                  `json:"url"`
	Aliases     []string                `json:"aliases"`
	CreatedOn   stamp                   `json:"created_on"`
	ModifiedOn  stamp                   `json:"modified_on"`
	LatestStage pagesStageJSON          `json:"latest_stage"`
	Stages      []pagesStageJSON        `json:"stages"`
	Trigger     pagesTriggerJSON        `json:"deployment_trigger"`
	EnvVars     map[string]pagesVarJSON `json:"env_vars"`
	Date        string                  `json:"compatibility_date,omitempty"`
	Flags       []string                `json:"compatibility_flags"`
	Build       json.RawMessage         `json:"build_config"`
	Source      *struct{}               `json:"source"`
	Functions   bool                    `json:"uses_functions"`
	Skipped     bool                    `json:"is_skipped"`
	Branch      string                  `json:"production_branch"`
	Files       int                     `json:"files"`
}

type pagesTriggerJSON struct {
	Type     string          `json:"type"`
	Metadata pagesCommitJSON `json:"metadata"`
}

type pagesCommitJSON struct {
	Branch  string `json:"branch"`
	Hash    string `json:"commit_hash"`
	Message string `json:"commit_message"`
	Dirty   bool   `json:"commit_dirty"`
}

func newPagesStage(s pages.Stage) pagesStageJSON {
	return pagesStageJSON{Name: s.Name, StartedOn: stampOf(s.StartedAt), EndedOn: stampOf(s.EndedAt), Status: s.Status}
}

// stampOf is nil for a moment that has not come.
func stampOf(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	text := stamp(t)
	return &text
}

func newPagesDeployment(d *pages.Deployment) pagesDeploymentJSON {
	stages := make([]pagesStageJSON, len(d.Stages))
	for i, s := range d.Stages {
		stages[i] = newPagesStage(s)
	}
	return pagesDeploymentJSON{
		ID: d.ID, ShortID: d.Short, ProjectID: d.ProjectID, ProjectName: d.ProjectName, Environment: d.Environment,
		URL: d.URL, Aliases: list(d.Aliases), CreatedOn: stamp(d.CreatedAt), ModifiedOn: stamp(d.Latest().EndedAt),
		LatestStage: newPagesStage(d.Latest()), Stages: stages,
		Trigger: pagesTriggerJSON{Type: d.Trigger, Metadata: pagesCommitJSON{Branch: d.Commit.Branch, Hash: d.Commit.Hash, Message: d.Commit.Message, Dirty: d.Commit.Dirty}},
		EnvVars: pagesVars(d.Config.Vars), Date: d.Config.Date, Flags: list(d.Config.Flags),
		Build: json.RawMessage(`{}`), Functions: d.Functions, Branch: d.Branch, Files: d.Files,
	}
}
