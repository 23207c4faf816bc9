package pages

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/assets"
)

const (
	maxPath    = 1024     // bytes of a file's path
	maxMessage = 384      // bytes of a commit's message, which wrangler cuts there
	maxHash    = 128      // bytes of a commit's hash
	maxRules   = 16 << 20 // bytes of a stored set of rule files
)

// DeployRequest is a deployment to make.
type DeployRequest struct {
	// Manifest maps the path of each file to its hash.
	Manifest map[string]string
	Commit   Commit
	Rules    Rules
	// Bundle is the code of Functions; nil: a static site.
	Bundle *Bundle
	// ConfigHash is not empty when the project's settings are in a wrangler file,
	// and then in Bundle's metadata.
	ConfigHash string
	// Output is the folder of the site that a wrangler file names, for whoever looks at
	// the project.
	Output string
	Source string // the tool that deploys
	// Built is what happened before; nil: the files came ready-made.
	Built *Built
}

// Rules are the texts of the files that say how a site is served.
type Rules struct {
	Headers   string `json:"headers,omitempty"`
	Redirects string `json:"redirects,omitempty"`
	Routes    string `json:"routes,omitempty"` // _routes.json; "": every path is for Functions
}

// Bundle is the code of Functions, as a Worker is uploaded.
type Bundle struct {
	Metadata json.RawMessage `json:"metadata"`
	Modules  []Module        `json:"modules"`
}

// Deploy makes a deployment. One that is refused for what is in it, a line of its
// code say, is made all the same: it has failed, and its log says why. Errors:
// CodeProjectNotFound, CodeInvalidManifest, CodeMissingAsset, CodeInvalidRequest.
func (s *Service) Deploy(ctx context.Context, account, project string, q *DeployRequest) (Deployment, error) {
	r, err := s.project(ctx, account, project)
	if err != nil {
		return Deployment{}, err
	}
	if err := q.check(r); err != nil {
		return Deployment{}, err
	}
	manifest, err := s.resolve(ctx, r, q.Manifest)
	if err != nil {
		return Deployment{}, err
	}
	raw, err := manifest.Encode()
	if err != nil {
		return Deployment{}, internal("save the manifest", err)
	}
	d := s.newDeployment(r, q)
	d.doc.Files = len(manifest)
	if d.manifest, _, err = s.o.Store.Blobs.Put(ctx, bytes.NewReader(raw), maxManifest); err != nil {
		return Deployment{}, internal("save the manifest", err)
	}
	if q.Rules != (Rules{}) {
		raw, err := json.Marshal(q.Rules)
		if err != nil {
			return Deployment{}, internal("save the rules", err)
		}
		if d.doc.Rules, _, err = s.o.Store.Blobs.Put(ctx, bytes.NewReader(raw), maxRules); err != nil {
			return Deployment{}, internal("save the rules", err)
		}
	}
	if d.doc.ConfigHash != "" && d.doc.Bundle != nil {
		if d.doc.Config, err = fileConfig(d.doc.Bundle, d.doc.ConfigHash, &d.doc.Config); err != nil {
			return Deployment{}, refusedSettings(err)
		}
	}
	return s.launch(ctx, r, d)
}

// refusedSettings is for settings that cannot even be read.
func refusedSettings(err error) error {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return &Error{Code: CodeInvalidRequest, Status: 400, Message: e.Text, Err: err}
	}
	return internal("read the settings of the wrangler file", err)
}

func (q *DeployRequest) check(r *projectRow) error {
	if q.Commit.Branch == "" {
		q.Commit.Branch = r.branch
	}
	if err := checkBranch(q.Commit.Branch); err != nil {
		return err
	}
	if len(q.Commit.Hash) > maxHash || strings.ContainsFunc(q.Commit.Hash, isControl) {
		return fail(CodeInvalidRequest, 400, "The commit hash is longer than %d bytes or has control characters.", maxHash)
	}
	if len(q.Output) > maxPath {
		return fail(CodeInvalidRequest, 400, "The output folder's path is longer than %d bytes.", maxPath)
	}
	if len(q.Commit.Message) > maxMessage {
		return fail(CodeInvalidRequest, 400, "The commit message has %d bytes; at most %d are allowed.", len(q.Commit.Message), maxMessage)
	}
	if q.Bundle != nil && !json.Valid(q.Bundle.Metadata) {
		return fail(CodeInvalidRequest, 400, "The metadata of _worker.bundle is not JSON.")
	}
	return nil
}

// resolve finds the content of each file. What its hash is was verified for all
// of them when it returns.
func (s *Service) resolve(ctx context.Context, r *projectRow, files map[string]string) (assets.Manifest, error) {
	if len(files) > s.o.MaxFiles {
		return nil, fail(CodeInvalidManifest, 400, "The manifest names %d files; at most %d are allowed.", len(files), s.o.MaxFiles)
	}
	hashes := make([]string, 0, len(files))
	seen := make(map[string]bool, len(files))
	for p, hash := range files {
		if err := assets.ValidatePath(p, maxPath); err != nil {
			return nil, &Error{Code: CodeInvalidManifest, Status: 400, Message: fmt.Sprintf("The manifest is refused: %v.", err), Err: err}
		}
		if !seen[hash] {
			seen[hash] = true
			hashes = append(hashes, hash)
		}
	}
	if err := checkHashes(hashes); err != nil {
		return nil, err
	}
	have, err := s.contents(ctx, upload{r.account, r.id}, hashes)
	if err != nil {
		return nil, internal("look for the contents", err)
	}
	manifest := make(assets.Manifest, len(files))
	var fresh []assets.Entry
	for p, hash := range files {
		c, ok := have[hash]
		if ok && !c.verified {
			if ok, err = s.verify(c.Entry, extension(p)); err != nil {
				return nil, internal("verify an asset", err)
			}
			c.verified = ok
			have[hash] = c
			fresh = append(fresh, c.Entry)
		}
		if !ok {
			return nil, fail(CodeMissingAsset, 400, "The content of the file %q (%s) was not uploaded. Upload it and deploy again.", clip(p), hash)
		}
		manifest[p] = c.Entry
	}
	return manifest, s.adopt(ctx, r, fresh)
}

// adopt gives contents that are verified now to all projects of the account.
func (s *Service) adopt(ctx context.Context, r *projectRow, fresh []assets.Entry) error {
	if len(fresh) == 0 {
		return nil
	}
	at := s.now().UnixMilli()
	err := s.write(ctx, func(tx *sql.Tx) error {
		for _, e := range fresh {
			if err := insertContent(ctx, tx, r.account, e, at); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM pages_pending WHERE project_id = ? AND hash = ?`, r.id, e.Hash); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return internal("record the assets", err)
	}
	return nil
}

// extension returns the extension without its dot as wrangler sees it (Node's
// path.extname): a name that begins with its only dot has none.
func extension(p string) string {
	base := path.Base(p)
	i := strings.LastIndexByte(base, '.')
	if i <= 0 {
		return ""
	}
	return base[i+1:]
}

func (s *Service) newDeployment(r *projectRow, q *DeployRequest) *deploymentRow {
	environment := Preview
	if q.Commit.Branch == r.branch {
		environment = Production
	}
	id := uuid.NewString()
	d := &deploymentRow{
		id: id, projectID: r.id, short: id[:shortLen], environment: environment, alias: Alias(q.Commit.Branch), createdAt: s.now(),
		doc: deploymentDocument{
			Commit: q.Commit, Trigger: "ad_hoc", Source: q.Source, Bundle: q.Bundle, ConfigHash: q.ConfigHash,
			Config: *r.settings.Configs.of(environment),
		},
	}
	d.output = q.Output
	q.Built.into(d)
	return d
}

// launch builds the site, starts its Functions, and saves the deployment. In the
// transaction that saves it a deployment for production becomes the one that
// serves.
func (s *Service) launch(ctx context.Context, r *projectRow, d *deploymentRow) (Deployment, error) {
	log := func(format string, args ...any) {
		d.doc.Log = append(d.doc.Log, LogLine{Time: s.now(), Line: fmt.Sprintf(format, args...)})
	}
	log("Deployment %s of %s (%s, branch %s): %d files", d.id, r.name, d.environment, d.doc.Commit.Branch, d.doc.Files)
	route, warnings, err := s.build(ctx, r, d)
	for _, w := range warnings {
		log("Warning: %s", w)
	}
	if err == nil && d.doc.Bundle != nil {
		log("Starting the Functions")
		d.version.String, err = s.startFunctions(ctx, r, d)
		d.version.Valid = err == nil
	}
	refused, isRefused := errors.AsType[*RefusedError](err)
	switch {
	case isRefused:
		log("Error: %s", refused.Text)
	case err != nil:
		return Deployment{}, internal("deploy", err)
	default:
		d.succeeded = true
		log("Success: deployed to %s", s.URL(d.short+"."+s.Hostname(r.name)))
	}
	d.doc.EndedAt = s.now()
	if err := s.save(ctx, r, d); err != nil {
		if d.version.Valid {
			err = errors.Join(err, s.o.Functions.Delete(context.WithoutCancel(ctx), r.account, r.name, d.version.String))
		}
		return Deployment{}, internal("save the deployment", err)
	}
	if d.succeeded {
		labels := []string{d.short, d.alias}
		if d.environment == Production {
			labels = append(labels, "")
		}
		s.renew(ctx, r.name, labels...)
		runtime.KeepAlive(route) // so that its site is found and not read
	}
	out, err := s.deploymentBy(ctx, r, `d.id = ?`, d.id)
	if err != nil {
		return Deployment{}, err
	}
	return *out, nil
}

func (s *Service) save(ctx context.Context, r *projectRow, d *deploymentRow) error {
	doc, err := json.Marshal(&d.doc)
	if err != nil {
		return err
	}
	contents, recorded := "", contentsNone
	if !d.doc.BuildFailed {
		recorded = contentsRecorded
		if contents, err = s.contentsOf(d); err != nil {
			return err
		}
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		var before sql.NullString
		err := tx.QueryRowContext(ctx, `UPDATE pages_projects SET next_number = next_number + 1 WHERE id = ? RETURNING next_number - 1, production_id`, r.id).Scan(&d.number, &before)
		if errors.Is(err, sql.ErrNoRows) {
			return projectNotFound(r.name) // deleted meanwhile
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO pages_deployments (id, project_id, number, short, environment, alias, succeeded, manifest, version_id, document, created_at, recorded)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, d.id, d.projectID, d.number, d.short, d.environment, d.alias, d.succeeded, d.manifest, d.version, string(doc), d.createdAt.UnixMilli(), recorded)
		if err == nil && recorded == contentsRecorded {
			err = recordContents(ctx, tx, r.id, d.number, contents)
		}
		if err == nil {
			err = s.keepFileConfig(ctx, tx, d)
		}
		if err != nil || !d.succeeded || d.environment != Production {
			return err
		}
		return s.switchTo(ctx, tx, r.id, before, d.id)
	})
}

// switchTo makes a deployment the one of production.
func (s *Service) switchTo(ctx context.Context, tx *sql.Tx, project string, before sql.NullString, id string) error {
	at := s.now().UnixMilli()
	if before.Valid && before.String != id {
		if _, err := tx.ExecContext(ctx, `UPDATE pages_deployments SET retired_at = ? WHERE id = ?`, at, before.String); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE pages_projects SET production_id = ?, modified_at = ? WHERE id = ?`, id, at, project)
	return err
}

// stagesOf returns the stages of a deployment. All but the last have nothing to
// do where files come ready-made.
func (d *deploymentRow) stages() []Stage {
	if d.doc.Stages != nil {
		return d.builtStages()
	}
	names := []string{StageQueued, StageInitialize, StageClone, StageBuild, StageDeploy}
	out := make([]Stage, len(names))
	for i, name := range names {
		out[i] = Stage{Name: name, StartedAt: d.createdAt, EndedAt: d.createdAt, Status: Succeeded}
	}
	last := &out[len(out)-1]
	last.EndedAt = d.doc.EndedAt
	if !d.succeeded {
		last.Status = Failed
	}
	return out
}
