package workers

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// objectPlan is what an upload or a deployment changes about the Durable Object
// namespaces of its script. It is made and checked first, and written in the
// transaction of the version or deployment.
type objectPlan struct {
	script *scriptRow
	before []namespaceRow
	// after are the namespaces there will be, by class.
	after map[string]*namespaceRow
	tag   string // the new migration tag; "" leaves it as it is

	created []string                 // classes
	deleted []string                 // ids
	renamed map[string]string        // id → class
	taken   map[string]*namespaceRow // by id, as they were: taken over from other scripts
	offered map[string]string        // id → script that may take it over; "" takes the offer back

	report *ExportsReport // of the declarative form, else nil
}

// concerned reports whether the script has or had namespaces: then its processes
// change by handover.
func (p *objectPlan) concerned() bool { return len(p.before)+len(p.after) > 0 }

// changes reports whether a process that runs has another idea of the namespaces
// than there will be.
func (p *objectPlan) changes() bool {
	return len(p.created)+len(p.deleted)+len(p.renamed)+len(p.taken) > 0
}

// namespaces returns those there will be, in the order of their classes.
func (p *objectPlan) namespaces() []namespaceRow {
	out := make([]namespaceRow, 0, len(p.after))
	for _, class := range slices.Sorted(maps.Keys(p.after)) {
		out = append(out, *p.after[class])
	}
	return out
}

func (s *Service) newObjectPlan(ctx context.Context, row *scriptRow) (*objectPlan, error) {
	p := &objectPlan{
		script: row, after: make(map[string]*namespaceRow), renamed: make(map[string]string),
		taken: make(map[string]*namespaceRow), offered: make(map[string]string),
	}
	if row.isNew {
		return p, nil
	}
	var err error
	if p.before, err = s.namespacesOf(ctx, row.id); err != nil {
		return nil, err
	}
	for i := range p.before {
		n := p.before[i]
		p.after[n.Class] = &n
	}
	return p, nil
}

// planUpload works out what an upload changes, and resolves the bindings of doc.
// The up is nil for a version that is made from an earlier one.
func (s *Service) planUpload(ctx context.Context, row *scriptRow, doc *document, up *Upload, deploy bool) (*objectPlan, error) { //nolint:revive // the two ways to upload
	p, err := s.newObjectPlan(ctx, row)
	if err != nil {
		return nil, err
	}
	if up != nil && up.Migrations != nil {
		if !deploy {
			return nil, fail(CodeMigrationOnUpload, 400, "Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object migration, but migrations must be fully applied via a non-versioned deployment. Run \"wrangler deploy\".")
		}
		if doc.ObjectExports != nil {
			return nil, fail(CodeObjectMigration, 400, "The upload has both migrations and exports. Declare Durable Objects in one of the two ways.")
		}
		if err := s.planMigrations(ctx, p, up.Migrations); err != nil {
			return nil, err
		}
	}
	if deploy && doc.ObjectExports != nil {
		if err := s.planExports(ctx, p, doc); err != nil {
			return nil, err
		}
	}
	if len(p.after) > maxObjectClasses {
		return nil, fail(CodeObjectMigration, 400, "The Worker would have %d Durable Object classes; at most %d are allowed.", len(p.after), maxObjectClasses)
	}
	if len(p.after) > 0 && deploy && doc.MainModule == "" {
		return nil, fail(CodeClassNotExported, 400, "New version of script does not export class '%s' which is depended on by existing Durable Objects. Only scripts in module syntax export classes.", p.namespaces()[0].Class)
	}
	return p, s.resolveObjectBindings(ctx, p, doc)
}

// planDeploy works out what it changes to deploy versions that exist.
func (s *Service) planDeploy(ctx context.Context, row *scriptRow, versions []DeploymentVersion) (*objectPlan, error) {
	p, err := s.newObjectPlan(ctx, row)
	if err != nil {
		return nil, err
	}
	host := (&deploymentDocument{Versions: versions}).serves()
	rows := make([]*versionRow, 0, len(versions))
	for _, d := range versions {
		v, err := s.version(ctx, row.id, d.VersionID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, v)
	}
	for _, v := range rows {
		if !maps.Equal(v.doc.ObjectExports, rows[0].doc.ObjectExports) {
			return nil, fail(CodeInconsistentExports, 400, "All versions in a multi-version deployment must declare identical `exports`.")
		}
		if v.id == host && v.doc.ObjectExports != nil {
			if err := s.planExports(ctx, p, &v.doc); err != nil {
				return nil, err
			}
		}
	}
	for _, v := range rows { // each may come to have the objects
		if err := p.checkExported(v.doc.Exports); err != nil {
			return nil, err
		}
		doc := v.doc // its bindings are checked, not changed
		if err := s.resolveObjectBindings(ctx, p, &doc); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// resolveObjectBindings puts the ids of their namespaces into the bindings of doc.
func (s *Service) resolveObjectBindings(ctx context.Context, p *objectPlan, doc *document) error {
	if !slices.ContainsFunc(doc.Bindings, func(b binding) bool { return b.Type == typeDurableObject }) {
		return nil
	}
	doc.Bindings = slices.Clone(doc.Bindings) // they may be those of another version
	for i := range doc.Bindings {
		b := &doc.Bindings[i]
		if b.Type != typeDurableObject {
			continue
		}
		if doc.MainModule == "" {
			return invalidScript("The binding %q is of type durable_object_namespace, which a script in service-worker syntax cannot have here. Use module syntax.", b.Name)
		}
		n, err := s.boundNamespace(ctx, p, doc, b)
		if err != nil {
			return err
		}
		b.NamespaceID = n.ID
	}
	return nil
}

// boundNamespace finds the namespace that a binding means.
func (s *Service) boundNamespace(ctx context.Context, p *objectPlan, doc *document, b *binding) (*namespaceRow, error) {
	own := b.ScriptName == "" || b.ScriptName == p.script.scope.script
	if b.NamespaceID != "" { // resolved by an earlier version: it stays with the data
		for _, n := range p.after {
			if n.ID == b.NamespaceID {
				return n, nil
			}
		}
		if own && !slices.Contains(p.deleted, b.NamespaceID) {
			own = p.after[b.ClassName] != nil
		}
	}
	if !own {
		return s.foreignNamespace(ctx, p, b)
	}
	if n := p.after[b.ClassName]; n != nil {
		return n, nil
	}
	if slices.ContainsFunc(p.before, func(n namespaceRow) bool { return n.Class == b.ClassName && slices.Contains(p.deleted, n.ID) }) {
		return nil, fail(CodeObjectBinding, 400, "Cannot apply --delete-class migration to class '%s' without also removing the binding that references it.", b.ClassName)
	}
	if e, ok := doc.ObjectExports[b.ClassName]; ok && e.live() {
		return nil, fail(CodeBindingNeedsExport, 400, "The binding '%s' depends on the export '%s', which is not provisioned yet: a deployment does that.", b.Name, b.ClassName)
	}
	return nil, fail(CodeObjectBinding, 400, "Cannot create binding for class '%s' because it is not currently configured to implement Durable Objects. Did you forget to apply a new-class migration?", b.ClassName)
}

// foreignNamespace finds the namespace of another script.
func (s *Service) foreignNamespace(ctx context.Context, p *objectPlan, b *binding) (*namespaceRow, error) {
	if b.NamespaceID != "" {
		n, err := s.namespace(ctx, p.script.scope.account, b.NamespaceID)
		if err != nil || n != nil {
			return n, err
		}
	}
	n, err := s.namespaceOf(ctx, scope{p.script.scope.account, b.ScriptName}, b.ClassName)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, fail(CodeObjectBinding, 400, "Cannot create binding for class '%s' that is not exported by script '%s' as a Durable Object. Deploy that script first.", b.ClassName, b.ScriptName)
	}
	return n, nil
}

// checkExported holds that a version has every class that has objects. The
// exports of a version of an earlier release are not known.
func (p *objectPlan) checkExported(exports []string) error {
	for _, class := range slices.Sorted(maps.Keys(p.after)) {
		if slices.Contains(exports, class) {
			continue
		}
		if slices.Contains(p.created, class) {
			return fail(CodeClassMissing, 400, "Cannot apply new-class migration to class '%s' that is not exported by script.", class)
		}
		return fail(CodeClassNotExported, 400, "New version of script does not export class '%s' which is depended on by existing Durable Objects. If you want to delete them, apply a delete-class migration; if the class has another name now, a rename-class migration.", class)
	}
	return nil
}

// write makes the change. Renames go through names that no class has, so that
// two classes can change places.
func (p *objectPlan) write(ctx context.Context, tx *sql.Tx, at int64) error {
	exec := func(query string, args ...any) error {
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("a namespace changed meanwhile: %d rows, %w", n, err)
		}
		return nil
	}
	for _, id := range p.deleted {
		if err := exec(`DELETE FROM object_namespaces WHERE id = ? AND script_id = ?`, id, p.script.id); err != nil {
			return err
		}
	}
	for id := range p.renamed {
		if err := exec(`UPDATE object_namespaces SET class = '/' || id WHERE id = ? AND script_id = ?`, id, p.script.id); err != nil {
			return err
		}
	}
	for id, class := range p.renamed {
		if err := exec(`UPDATE object_namespaces SET class = ? WHERE id = ?`, class, id); err != nil {
			return err
		}
	}
	for id, to := range p.offered {
		if err := exec(`UPDATE object_namespaces SET transfer_to = nullif(?, '') WHERE id = ? AND script_id = ?`, to, id, p.script.id); err != nil {
			return err
		}
	}
	for _, n := range p.after {
		var err error
		switch was := p.taken[n.ID]; {
		case was != nil:
			err = exec(`UPDATE object_namespaces SET script_id = ?, class = ?, transfer_to = NULL WHERE id = ? AND script_id = ?`, p.script.id, n.Class, n.ID, was.scriptID)
		case slices.Contains(p.created, n.Class):
			err = exec(`INSERT INTO object_namespaces (id, account_id, script_id, class, use_sqlite, folder, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				n.ID, p.script.scope.account, p.script.id, n.Class, n.UseSQLite, p.script.id, at)
		}
		if err != nil {
			return err
		}
	}
	return p.writeTag(ctx, tx, at)
}

func (p *objectPlan) writeTag(ctx context.Context, tx *sql.Tx, at int64) error {
	if p.tag == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE scripts SET migration_tag = ? WHERE id = ?`, p.tag, p.script.id); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO object_migrations (script_id, tag, applied_at) VALUES (?, ?, ?)`, p.script.id, p.tag, at)
	return err
}

// writeObjectBindings notes which namespaces a version binds.
func writeObjectBindings(ctx context.Context, tx *sql.Tx, v *versionRow) error {
	for _, b := range v.doc.Bindings {
		if b.Type != typeDurableObject {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO object_bindings (version_id, namespace_id) VALUES (?, ?)`, v.id, b.NamespaceID); err != nil {
			return err
		}
	}
	return nil
}

func checkClassName(class string) error {
	if class == "" || len(class) > maxBindingName || strings.ContainsFunc(class, isControl) || class == "default" {
		return fail(CodeObjectMigration, 400, "The Durable Object class name %q is not allowed.", clip(class))
	}
	return nil
}
