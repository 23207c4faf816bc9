package workers

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Deploy serves other versions, by shares that add up to 100: it starts them,
// waits until they answer, commits, and switches the routes; the processes of
// versions that are dropped finish their requests. A version with the share 0 is
// reached by an override only. Errors: CodeNotFound, CodeVersionNotFound,
// CodeInvalidDeployment, CodeSecretsChanged when an older version has other
// secrets and Force is not set, CodeInvalidScript when one does not start. After
// an error nothing has changed.
func (s *Service) Deploy(ctx context.Context, account, name string, req DeployRequest) (Deployment, error) {
	sc := scope{account, name}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return Deployment{}, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return Deployment{}, err
	}
	plan, err := req.plan()
	if err != nil {
		return Deployment{}, err
	}
	if err := checkAnnotations(req.Annotations); err != nil {
		return Deployment{}, err
	}
	versions := make([]*versionRow, len(plan))
	for i := range plan {
		if versions[i], err = s.version(ctx, row.id, plan[i].VersionID); err != nil {
			return Deployment{}, err
		}
	}
	if !req.Force {
		if err := s.checkRollback(ctx, row, versions); err != nil {
			return Deployment{}, err
		}
	}
	d, err := s.deploy(ctx, row, plan, req.Annotations, req.Origin)
	if err != nil {
		return Deployment{}, err
	}
	return d.public(), nil
}

// checkRollback refuses to go back to a version whose secrets are not those of
// the live one, unless the caller insists. Versions that serve already are no
// step back.
func (s *Service) checkRollback(ctx context.Context, row *scriptRow, to []*versionRow) error {
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil || live == nil {
		return err
	}
	from, err := s.version(ctx, row.id, live.doc.serves())
	if err != nil {
		return err
	}
	changed := make(map[string]bool)
	for _, v := range to {
		if live.doc.has(v.id) || v.number >= from.number {
			continue
		}
		for _, name := range changedSecrets(&from.doc, &v.doc) {
			changed[name] = true
		}
	}
	if len(changed) == 0 {
		return nil
	}
	// wrangler takes what follows the colon as the list to show.
	return fail(CodeSecretsChanged, 400, "The following secrets have changed: %s", strings.Join(slices.Sorted(maps.Keys(changed)), ", "))
}

// changedSecrets returns the names, sorted, of secrets that one version has and
// the other does not, or has with another text.
func changedSecrets(a, b *document) []string {
	x, y := a.secrets(), b.secrets()
	names := make(map[string]bool)
	for name, mark := range x {
		if other, ok := y[name]; !ok || other != mark {
			names[name] = true
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// deploy starts the versions of the plan, commits the deployment and switches.
// The caller holds the script's lock.
func (s *Service) deploy(ctx context.Context, row *scriptRow, plan []DeploymentVersion, annotations map[string]string, origin Origin) (*deploymentRow, error) {
	before, err := s.liveDeployment(ctx, row.id)
	if err != nil {
		return nil, err
	}
	objects, err := s.planDeploy(ctx, row, plan)
	if err != nil {
		return nil, err
	}
	for _, v := range plan {
		u, err := s.unitOf(ctx, v.VersionID)
		if err != nil {
			return nil, internal("read the version", err)
		}
		u.revive()
		in, err := s.hold(ctx, u)
		if err != nil {
			return nil, err
		}
		if in != nil {
			defer in.Release()
		}
	}
	d := newDeployment(row.id, plan, annotations, origin)
	if err := s.commit(ctx, &change{script: row, deployment: d, objects: objects}); err != nil {
		return nil, err
	}
	s.hosts.forget(row.scope.script)
	s.switched(before, d)
	s.handOver(ctx, objects, before, d)
	return d, nil
}

// switched retires the processes of the versions that a deployment dropped.
func (s *Service) switched(before, after *deploymentRow) {
	if before == nil || after == nil {
		return
	}
	for _, v := range before.doc.Versions {
		if after.doc.has(v.VersionID) {
			continue
		}
		if u := s.known(v.VersionID); u != nil {
			u.retire()
		}
	}
}

// whole is the plan that gives one version all requests.
func whole(version string) []DeploymentVersion {
	return []DeploymentVersion{{VersionID: version, Percentage: 100}}
}

func newDeployment(scriptID string, plan []DeploymentVersion, annotations map[string]string, origin Origin) *deploymentRow {
	notes := maps.Clone(annotations)
	if notes == nil {
		notes = make(map[string]string)
	}
	delete(notes, AnnotationAlias)
	delete(notes, AnnotationTag)
	if notes[AnnotationTriggeredBy] == "" {
		notes[AnnotationTriggeredBy] = "deployment"
	}
	return &deploymentRow{
		id: uuid.NewString(), scriptID: scriptID, createdAt: now(),
		doc: deploymentDocument{
			Strategy: StrategyPercentage, Annotations: notes, Origin: origin,
			Versions: plan,
		},
	}
}

// Deployments returns the deployments of a script, newest first, at most limit
// of them (0: all).
func (s *Service) Deployments(ctx context.Context, account, name string, limit int) ([]Deployment, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = -1
	}
	rows, err := s.db().QueryContext(ctx, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.script_id = ? ORDER BY d.sequence DESC LIMIT ?`, row.id, limit)
	if err != nil {
		return nil, internal("list the deployments", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Deployment
	for rows.Next() {
		d, err := scanDeployment(rows)
		if err != nil {
			return nil, internal("list the deployments", err)
		}
		out = append(out, d.public())
	}
	if err := rows.Err(); err != nil {
		return nil, internal("list the deployments", err)
	}
	return out, nil
}

func (d *deploymentRow) public() Deployment {
	return Deployment{ID: d.id, CreatedAt: d.createdAt, Origin: d.doc.Origin, Strategy: d.doc.Strategy, Annotations: d.doc.Annotations, Versions: d.doc.Versions}
}
