package workers

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// Deployed is the outcome of an upload that is also deployed.
type Deployed struct {
	Script     Script
	Version    Version
	Deployment Deployment
	Exports    *ExportsReport // of declared Durable Object exports; nil when there were none
}

// PutScript makes a version and deploys it, in one transaction that also makes
// the script if there is none. The version was started and answered before.
// Errors: CodeInvalidScript (10021) with the runtime's text when it does not
// start, CodeTooLarge, CodeInheritNoSource, CodeNotOffered, …; after an error
// nothing has changed.
func (s *Service) PutScript(ctx context.Context, account, name string, u *Upload) (Deployed, error) {
	sc := scope{account, name}
	if err := checkScriptName(name); err != nil {
		return Deployed{}, err
	}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return Deployed{}, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if isNotFound(err) {
		row, err = &scriptRow{id: hex32(), scope: sc, isNew: true, createdAt: now(), modifiedAt: now()}, nil
	}
	if err != nil {
		return Deployed{}, err
	}
	if err := s.checkConsumers(ctx, sc, u.TailConsumers); err != nil {
		return Deployed{}, err
	}
	row.settings.apply(SettingsPatch{Logpush: u.Logpush, Tags: u.Tags, Observability: u.Observability, TailConsumers: u.TailConsumers})
	v, d, err := s.upload(ctx, row, uploadRequest{u, true})
	if err != nil {
		return Deployed{}, err
	}
	s.consume(sc, row.settings.TailConsumers)
	row.modifiedAt = now()
	out := Deployed{Version: v.public(sc), Deployment: d.public(), Exports: d.exports}
	out.Script = row.public()
	out.Script.Live, out.Script.Latest, out.Script.Deployment = &out.Version, &out.Version, &out.Deployment
	return out, nil
}

// CreateVersion makes a version of an existing script without deploying it. The
// errors are those of [Service.PutScript], and CodeNotFound.
func (s *Service) CreateVersion(ctx context.Context, account, name string, u *Upload) (Version, error) {
	sc := scope{account, name}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return Version{}, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return Version{}, err
	}
	v, _, err := s.upload(ctx, row, uploadRequest{u, false})
	if err != nil {
		return Version{}, err
	}
	return v.public(sc), nil
}

// uploadRequest is an Upload that may be deployed.
type uploadRequest struct {
	*Upload
	deploy bool
}

// upload turns an upload into a version of row. The caller holds the script's lock.
func (s *Service) upload(ctx context.Context, row *scriptRow, u uploadRequest) (*versionRow, *deploymentRow, error) {
	var latest *versionRow
	if !row.isNew {
		var err error
		if latest, err = s.latestVersion(ctx, row.id); err != nil {
			return nil, nil, err
		}
	}
	doc, err := s.document(ctx, row.scope, u.Upload, latest)
	if err != nil {
		return nil, nil, err
	}
	key, err := s.uploadKey(row.scope, u.Upload, doc)
	if err != nil {
		return nil, nil, err
	}
	if latest != nil && latest.uploadKey == key && time.Since(latest.createdAt) < s.o.RetryWindow {
		if !u.deploy {
			return latest, nil, nil
		}
		live, err := s.redeploy(ctx, row, u.Upload, latest)
		return latest, live, err
	}
	return s.save(ctx, row, &newVersion{doc: doc, key: key, upload: u.Upload, alias: u.Annotations[AnnotationAlias], deploy: u.deploy, annotations: u.Annotations, origin: u.Origin})
}

// redeploy answers an upload that was made already, deploying it if it is not:
// a client whose connection broke cannot know that it had succeeded.
func (s *Service) redeploy(ctx context.Context, row *scriptRow, u *Upload, latest *versionRow) (*deploymentRow, error) {
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil {
		return nil, err
	}
	if live == nil || live.doc.sole() != latest.id {
		return s.deploy(ctx, row, whole(latest.id), u.Annotations, u.Origin)
	}
	return live, nil
}

// newVersion is a version to save.
type newVersion struct {
	doc         *document
	upload      *Upload // nil for versions that are no upload
	key         string  // upload_key; "" for versions that are no upload
	alias       string
	deploy      bool
	annotations map[string]string // of the deployment
	origin      Origin
}

// save starts the version, commits it once it answers, and switches to it if it
// is deployed too. The caller holds the script's lock.
func (s *Service) save(ctx context.Context, row *scriptRow, n *newVersion) (*versionRow, *deploymentRow, error) {
	v := &versionRow{id: uuid.NewString(), scriptID: row.id, createdAt: now(), uploadKey: n.key, doc: *n.doc}
	objects, err := s.planUpload(ctx, row, &v.doc, n.upload, n.deploy)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.newUnit(row.scope, v.id, v.createdAt, &v.doc)
	if err != nil {
		return nil, nil, internal("read the assets of the version", err)
	}
	u.planned.Store(objects) // what its first process is to know of objects is not saved yet
	in, err := s.hold(ctx, u)
	if err != nil {
		u.discard()
		return nil, nil, err
	}
	if in != nil {
		defer in.Release()
		v.doc.Handlers = in.proc.Handlers()
		v.doc.StartupUS = in.proc.StartupTime().Microseconds()
		v.doc.Exports = in.proc.Exports()
		v.doc.Entrypoints = u.exported()
	}
	if n.deploy {
		if err := objects.checkExported(v.doc.Exports); err != nil {
			u.discard()
			return nil, nil, err
		}
	}
	c := &change{script: row, version: v, alias: n.alias}
	var before *deploymentRow
	if n.deploy {
		if !row.isNew {
			if before, err = s.liveDeployment(ctx, row.id); err != nil {
				u.discard()
				return nil, nil, err
			}
		}
		c.settings = true
		c.objects = objects
		c.deployment = newDeployment(row.id, whole(v.id), n.annotations, n.origin)
		c.deployment.exports = objects.report
	}
	s.register(u) // before anyone can look it up: there must not be two of it
	if err := s.commit(ctx, c); err != nil {
		u.discard()
		return nil, nil, err
	}
	row.isNew = false
	u.planned.Store(nil)
	s.hosts.forget(row.scope.script)
	s.switched(before, c.deployment)
	s.handOver(ctx, c.objects, before, c.deployment)
	return v, c.deployment, nil
}

// hold starts the process of a version, waits until it answers, and keeps it
// from stopping until it is released; nil for a version without code.
func (s *Service) hold(ctx context.Context, u *unit) (*Instance, error) {
	if !u.doc.hasCode() {
		return nil, nil // documented above
	}
	in, err := u.acquire(ctx, false)
	if err == nil && in.lacks() {
		// What it exports is known only now, and callers already name some of it.
		in.Release()
		u.replaceProcess(in)
		in, err = u.acquire(ctx, false)
	}
	if err == nil {
		in.requests.Add(-1) // nobody asked for anything yet
		return in, nil
	}
	if script, ok := errors.AsType[*workerd.StartError](err); ok {
		return nil, &Error{Code: CodeInvalidScript, Status: 400, Message: script.Text}
	}
	return nil, internal("start the script", err)
}

// document checks an upload and makes the document of its version.
func (s *Service) document(ctx context.Context, sc scope, u *Upload, latest *versionRow) (*document, error) {
	if err := checkRest(u); err != nil {
		return nil, err
	}
	if err := s.checkDate(ctx, u); err != nil {
		return nil, err
	}
	modules, err := s.checkModules(u)
	if err != nil {
		return nil, err
	}
	var old *document
	if latest != nil {
		old = &latest.doc
	}
	doc := &document{
		MainModule: u.MainModule, BodyPart: u.BodyPart,
		CompatibilityDate: u.CompatibilityDate, CompatibilityFlags: u.CompatibilityFlags,
		Limits: u.Limits, Placement: u.Placement, ObjectExports: u.ObjectExports, Cache: u.Cache, Site: u.Site,
		Annotations: maps.Clone(u.Annotations), Origin: u.Origin, Containers: u.Containers,
	}
	if err := s.checkContainers(u); err != nil {
		return nil, err
	}
	if doc.Bindings, doc.Modules, err = s.resolveBindings(sc, u, modules, old); err != nil {
		return nil, err
	}
	if err := checkEntry(u, doc.Modules); err != nil {
		return nil, err
	}
	if err := s.checkNamespaces(ctx, sc.account, doc); err != nil {
		return nil, err
	}
	if err := s.checkDatabases(ctx, sc.account, doc); err != nil {
		return nil, err
	}
	if err := s.checkVectorIndexes(ctx, sc.account, doc); err != nil {
		return nil, err
	}
	if err := s.checkServices(ctx, sc, doc); err != nil {
		return nil, err
	}
	if doc.Assets, err = s.resolveAssets(ctx, sc, u, old); err != nil {
		return nil, err
	}
	if err := checkAssetsBinding(doc); err != nil {
		return nil, err
	}
	doc.Etag = doc.etag()
	if doc.Annotations == nil {
		doc.Annotations = make(map[string]string)
	}
	if doc.Annotations[AnnotationTriggeredBy] == "" {
		doc.Annotations[AnnotationTriggeredBy] = "upload"
	}
	return doc, nil
}

// checkDate refuses a compatibility date that the runtime does not know yet.
func (s *Service) checkDate(ctx context.Context, u *Upload) error {
	if u.CompatibilityDate == "" || u.MainModule == "" && u.BodyPart == "" {
		return nil
	}
	newest, err := s.o.Runtime.MaxCompatibilityDate(ctx)
	if err != nil {
		return internal("ask the runtime for its newest compatibility date", err)
	}
	if u.CompatibilityDate > newest {
		return invalidScript("The compatibility date %s is newer than this release's runtime knows. Use %s or earlier, or a newer release.", u.CompatibilityDate, newest)
	}
	return nil
}

func checkAssetsBinding(doc *document) error {
	count := 0
	for _, b := range doc.Bindings {
		if b.Type != typeAssets {
			continue
		}
		if count++; count > 1 {
			return invalidScript("The binding %q is a second one of type assets; a Worker has one.", b.Name)
		}
		if doc.Assets == nil && doc.Site == "" {
			return invalidScript("The binding %q is of type assets, but the upload has no assets.", b.Name)
		}
		if !doc.hasCode() {
			return invalidScript("The binding %q is of type assets, but the upload has no script that could use it.", b.Name)
		}
	}
	return nil
}

// uploadKey digests all that makes an upload what it is. It is keyed: secrets
// are among it.
func (s *Service) uploadKey(sc scope, u *Upload, doc *document) (string, error) {
	raw, err := json.Marshal(struct {
		Account string          `json:"account"`
		Script  string          `json:"script"`
		Upload  *Upload         `json:"upload"` // without its asset token, which differs from session to session
		Assets  *documentAssets `json:"assets"`
	}{sc.account, sc.script, u, doc.Assets})
	if err != nil {
		return "", internal("digest the upload", err)
	}
	return hex.EncodeToString(s.o.Store.Keys.MAC("workers upload", raw)), nil
}

// Versions returns the versions of a script, newest first, at most limit of them
// (0: all) after skipping offset.
func (s *Service) Versions(ctx context.Context, account, name string, offset, limit int) ([]Version, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = -1
	}
	rows, err := s.db().QueryContext(ctx, `SELECT `+versionColumns+` FROM versions v WHERE v.script_id = ? ORDER BY v.number DESC LIMIT ? OFFSET ?`, row.id, limit, max(offset, 0))
	if err != nil {
		return nil, internal("list the versions", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Version
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, internal("list the versions", err)
		}
		out = append(out, v.public(row.scope))
	}
	if err := rows.Err(); err != nil {
		return nil, internal("list the versions", err)
	}
	return out, nil
}

// Version returns a version by its UUID, with or without hyphens. Errors:
// CodeNotFound, CodeVersionNotFound.
func (s *Service) Version(ctx context.Context, account, name, id string) (Version, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return Version{}, err
	}
	v, err := s.version(ctx, row.id, canonicalID(id))
	if err != nil {
		return Version{}, err
	}
	return v.public(row.scope), nil
}

// canonicalID adds the hyphens to a UUID that came without; anything else is
// returned as it is and will not be found.
func canonicalID(id string) string {
	if u, err := uuid.Parse(id); err == nil {
		return u.String()
	}
	return id
}

func (v *versionRow) public(sc scope) Version {
	out := Version{
		ID: v.id, Number: v.number, Account: sc.account, Script: sc.script, CreatedAt: v.createdAt,
		Origin: v.doc.Origin, Annotations: v.doc.Annotations,
		MainModule: v.doc.MainModule, ServiceWorker: v.doc.BodyPart != "", Modules: v.doc.Modules,
		CompatibilityDate: v.doc.CompatibilityDate, CompatibilityFlags: v.doc.CompatibilityFlags,
		Limits: v.doc.Limits, Placement: v.doc.Placement, Handlers: v.doc.Handlers, Etag: v.doc.Etag,
		StartupTime: time.Duration(v.doc.StartupUS) * time.Microsecond,
		HasCode:     v.doc.hasCode(), HasAssets: v.doc.Assets != nil,
		Bindings: make([]json.RawMessage, 0, len(v.doc.Bindings)),
	}
	if out.ServiceWorker {
		out.MainModule = v.doc.BodyPart
	}
	if v.doc.Assets != nil {
		out.AssetsConfig = v.doc.Assets.Config
	}
	for i := range v.doc.Bindings {
		out.Bindings = append(out.Bindings, v.doc.Bindings[i].public())
	}
	return out
}

// hex32 returns a random id of 32 hex digits.
func hex32() string {
	id := uuid.New()
	return fmt.Sprintf("%x", id[:])
}

func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeNotFound
}
