package pages

import (
	"bytes"
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
)

// TriggerPush is the trigger of a deployment that a git push has made.
const TriggerPush = "push"

// Built is what happened to a deployment before it came here: somebody else has
// built it.
type Built struct {
	Log    []LogLine
	Stages []Stage // all but the last, which is this service's
}

// into adds it to a deployment.
func (b *Built) into(d *deploymentRow) {
	if b == nil {
		return
	}
	d.doc.Trigger, d.doc.Log, d.doc.Stages = TriggerPush, b.Log, b.Stages
}

// builtStages returns the stages of a deployment that was built, its own at the end.
func (d *deploymentRow) builtStages() []Stage {
	begin := d.createdAt
	out := append([]Stage(nil), d.doc.Stages...)
	last := Stage{Name: StageDeploy, StartedAt: begin, EndedAt: d.doc.EndedAt, Status: Succeeded}
	switch {
	case d.doc.BuildFailed:
		last.StartedAt, last.EndedAt, last.Status = time.Time{}, time.Time{}, stageIdle
	case !d.succeeded:
		last.Status = Failed
	}
	return append(out, last)
}

// DeployFailed records a deployment whose build has failed, with its log: it has no
// files and never serves. Errors: CodeProjectNotFound, CodeInvalidRequest.
func (s *Service) DeployFailed(ctx context.Context, account, project string, q *DeployRequest) (Deployment, error) {
	r, err := s.project(ctx, account, project)
	if err != nil {
		return Deployment{}, err
	}
	if err := q.check(r); err != nil {
		return Deployment{}, err
	}
	raw, err := assets.Manifest{}.Encode()
	if err != nil {
		return Deployment{}, internal("save the manifest", err)
	}
	d := s.newDeployment(r, q)
	d.doc.BuildFailed, d.doc.EndedAt = true, s.now()
	if d.manifest, _, err = s.o.Store.Blobs.Put(ctx, bytes.NewReader(raw), maxManifest); err != nil {
		return Deployment{}, internal("save the manifest", err)
	}
	if err := s.save(ctx, r, d); err != nil {
		return Deployment{}, internal("save the deployment", err)
	}
	out, err := s.deploymentBy(ctx, r, `d.id = ?`, d.id)
	if err != nil {
		return Deployment{}, err
	}
	return *out, nil
}
