package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/builds"
)

// Builds is what the door needs of the service that builds what is pushed.
type Builds interface {
	GitServer
	Build(ctx context.Context, account, project, id string) (builds.Build, error)
	Builds(ctx context.Context, account, project string, offset, limit int) (page []builds.Build, total int, err error)
	Cancel(ctx context.Context, account, project, id string) (builds.Build, error)
	Follow(ctx context.Context, account, project, id string, yield func([]builds.Line) bool) error
}

const (
	buildsPath = ownPath + "/pages/{project}/builds"
	buildPath  = buildsPath + "/{build}"
)

func (s *server) buildRoutes() []route {
	if s.Builds == nil {
		return nil
	}
	return []route{
		{Method: http.MethodGet, Pattern: buildsPath, Scope: accounts.ScopePagesRead, Handler: listBuilds},
		{Method: http.MethodGet, Pattern: buildPath, Scope: accounts.ScopePagesRead, Handler: getBuildOf},
		{Method: http.MethodPost, Pattern: buildPath + "/cancel", Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: cancelBuild},
		{Method: http.MethodGet, Pattern: buildPath + "/logs", Scope: accounts.ScopePagesRead, Handler: getBuildLogs},
	}
}

// buildJSON is a build on the wire.
type buildJSON struct {
	ID         string           `json:"id"`
	Project    string           `json:"project"`
	Branch     string           `json:"branch"`
	Commit     string           `json:"commit_hash"`
	Message    string           `json:"commit_message"`
	Status     builds.Status    `json:"status"`
	Reason     string           `json:"reason,omitempty"`
	Stages     []buildStageJSON `json:"stages"`
	Deployment string           `json:"deployment_id,omitempty"`
	URL        string           `json:"url,omitempty"`
	CreatedOn  time.Time        `json:"created_on"`
	StartedOn  *time.Time       `json:"started_on"`
	EndedOn    *time.Time       `json:"ended_on"`
}

type buildStageJSON struct {
	Name      string        `json:"name"`
	Status    builds.Status `json:"status"`
	StartedOn *time.Time    `json:"started_on"`
	EndedOn   *time.Time    `json:"ended_on"`
}

func newBuildJSON(b *builds.Build) buildJSON {
	out := buildJSON{
		ID: b.ID, Project: b.Project, Branch: b.Branch, Commit: b.Commit, Message: b.Message, Status: b.Status, Reason: b.Reason,
		Stages: []buildStageJSON{}, Deployment: b.Deployment, URL: b.URL, CreatedOn: b.CreatedAt, StartedOn: when(b.StartedAt),
	}
	if !b.Status.Open() {
		out.EndedOn = when(b.EndedAt)
	}
	for _, st := range b.Stages {
		out.Stages = append(out.Stages, buildStageJSON{st.Name, st.Status, when(st.StartedAt), when(st.EndedAt)})
	}
	return out
}

// when is nil for a moment that has not come.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func listBuilds(c *call) (any, error) {
	n, per, err := pageParams(c.query(), defaultPerPage)
	if err != nil {
		return nil, err
	}
	all, total, err := c.Builds.Builds(c.ctx(), c.account(), c.project(), (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := make([]buildJSON, len(all))
	for i := range all {
		out[i] = newBuildJSON(&all[i])
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(out), total)}, nil
}

func getBuildOf(c *call) (any, error) {
	b, err := c.Builds.Build(c.ctx(), c.account(), c.project(), c.params["build"])
	if err != nil {
		return nil, err
	}
	return newBuildJSON(&b), nil
}

func cancelBuild(c *call) (any, error) {
	b, err := c.Builds.Cancel(c.ctx(), c.account(), c.project(), c.params["build"])
	if err != nil {
		return nil, err
	}
	return newBuildJSON(&b), nil
}

// getBuildLogs answers with one JSON object a line, until the build is over. An
// empty line says that there is nothing new.
func getBuildLogs(c *call) (any, error) {
	b, err := c.Builds.Build(c.ctx(), c.account(), c.project(), c.params["build"])
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := flushing(w)
		var failed error
		err := c.Builds.Follow(c.ctx(), b.Account, b.Project, b.ID, func(lines []builds.Line) bool {
			text := []byte(nil)
			for _, l := range lines {
				raw, err := json.Marshal(l)
				if err != nil {
					failed = err
					return false
				}
				text = append(append(text, raw...), '\n')
			}
			if text == nil {
				text = []byte("\n")
			}
			_, failed = out.Write(text)
			return failed == nil
		})
		if err == nil {
			err = failed
		}
		return err
	}), nil
}
