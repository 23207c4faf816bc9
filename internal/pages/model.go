package pages

import (
	"encoding/json"
	"time"
)

// Environments of a project.
const (
	Production = "production"
	Preview    = "preview"
)

// Project is a site.
type Project struct {
	ID      string // UUID
	Account string
	Name    string
	// Branch is the one whose deployments are for production.
	Branch     string
	Build      json.RawMessage // build_config as it was given; nil: none
	Configs    Configs
	CreatedAt  time.Time
	ModifiedAt time.Time
	// Production is the deployment that serves, Latest the newest one; nil when
	// there is none.
	Production, Latest *Deployment
}

// Stage is a step of a deployment.
type Stage struct {
	Name      string    `json:"name"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Status    string    `json:"status"` // success, failure, idle
}

// Names of stages, in their order, and what becomes of them.
const (
	StageQueued     = "queued"
	StageInitialize = "initialize"
	StageClone      = "clone_repo"
	StageBuild      = "build"
	StageDeploy     = "deploy"

	Succeeded = "success"
	Failed    = "failure"
	stageIdle = "idle"
)

// Commit says what was deployed. All of it is the word of whoever deployed.
type Commit struct {
	Branch  string `json:"branch"`
	Hash    string `json:"hash,omitempty"`
	Message string `json:"message,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
}

// Deployment is one immutable state of a site.
type Deployment struct {
	ID          string // UUID
	Short       string // its first eight digits
	Number      int64  // 1, 2, … within the project
	ProjectID   string
	ProjectName string
	Branch      string // the project's production branch
	Environment string
	Commit      Commit
	Trigger     string // ad_hoc, retry
	URL         string
	Aliases     []string // URLs of branches that lead to it now
	Files       int
	Functions   bool
	Version     string // of the Functions, with which they log; "" without any
	Config      Config // as it was when the deployment was made
	Stages      []Stage
	CreatedAt   time.Time
	Succeeded   bool
	Source      string // the tool that deployed
}

// Latest returns the last stage that was begun.
func (d *Deployment) Latest() Stage {
	for i := len(d.Stages) - 1; i > 0; i-- {
		if d.Stages[i].Status != stageIdle {
			return d.Stages[i]
		}
	}
	return d.Stages[0]
}

// LogLine is a line of what happened while a deployment was made.
type LogLine struct {
	Time time.Time `json:"ts"`
	Line string    `json:"line"`
}
