package workers

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Deploy serves another version: it starts it, waits until it answers, commits,
// and switches the routes; the process it replaces finishes its requests.
// Errors: CodeNotFound, CodeVersionNotFound, CodeInvalidDeployment,
// CodeNotOffered for several versions, CodeSecretsChanged when an older version
// has other secrets and Force is not set, CodeInvalidScript when it does not
// start. After an error nothing has changed.
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
	id, err := req.version()
	if err != nil {
		return Deployment{}, err
	}
	if err := checkAnnotations(req.Annotations); err != nil {
		return Deployment{}, err
	}
	v, err := s.version(ctx, row.id, id)
	if err != nil {
		return Deployment{}, err
	}
	if !req.Force {
		if err := s.checkRollback(ctx, row, v); err != nil {
			return Deployment{}, err
		}
	}
	d, err := s.deploy(ctx, row, v, req.Annotations, req.Origin)
	if err != nil {
		return Deployment{}, err
	}
	return d.public(), nil
}

// version returns the id of the one version that is to serve.
func (r *DeployRequest) version() (string, error) {
	switch {
	case r.Strategy != "" && r.Strategy != StrategyPercentage:
		return "", fail(CodeInvalidDeployment, 400, "The deployment strategy %q is not known. Use %q.", clip(r.Strategy), StrategyPercentage)
	case len(r.Versions) == 0:
		return "", fail(CodeInvalidDeployment, 400, "The deployment names no version.")
	case len(r.Versions) > 1:
		return "", fail(CodeNotOffered, 400, "The deployment splits requests over %d versions, which this release does not offer. Deploy one version at 100 percent.", len(r.Versions))
	case r.Versions[0].Percentage != 100:
		return "", fail(CodeInvalidDeployment, 400, "The shares of the deployment add up to %v percent; they must add up to 100.", r.Versions[0].Percentage)
	}
	return canonicalID(r.Versions[0].VersionID), nil
}

// checkRollback refuses to go back to a version whose secrets are not those of
// the live one, unless the caller insists.
func (s *Service) checkRollback(ctx context.Context, row *scriptRow, to *versionRow) error {
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil || live == nil {
		return err
	}
	from, err := s.version(ctx, row.id, live.doc.serves())
	if err != nil {
		return err
	}
	if to.number >= from.number {
		return nil
	}
	changed := changedSecrets(&from.doc, &to.doc)
	if len(changed) == 0 {
		return nil
	}
	// wrangler takes what follows the colon as the list to show.
	return fail(CodeSecretsChanged, 400, "The following secrets have changed: %s", strings.Join(changed, ", "))
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

// deploy starts v, commits the deployment and switches. The caller holds the
// script's lock.
func (s *Service) deploy(ctx context.Context, row *scriptRow, v *versionRow, annotations map[string]string, origin Origin) (*deploymentRow, error) {
	before, err := s.liveDeployment(ctx, row.id)
	if err != nil {
		return nil, err
	}
	u, err := s.unitOf(ctx, v.id)
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
	d := newDeployment(row.id, v.id, annotations, origin)
	if err := s.commit(ctx, &change{script: row, deployment: d}); err != nil {
		return nil, err
	}
	s.hosts.forget(row.scope.script)
	s.switched(before, d)
	return d, nil
}

// switched retires the process of the version that a deployment replaced.
func (s *Service) switched(before, after *deploymentRow) {
	if before == nil || after == nil || before.doc.serves() == after.doc.serves() {
		return
	}
	if u := s.known(before.doc.serves()); u != nil {
		u.retire()
	}
}

func newDeployment(scriptID, version string, annotations map[string]string, origin Origin) *deploymentRow {
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
			Versions: []DeploymentVersion{{VersionID: version, Percentage: 100}},
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
