package workers

import (
	"context"
	"slices"
)

const (
	maxMigrationSteps = 1000
	maxMigrationTag   = 1024 // bytes
)

// Migrations change which classes have objects, step by step.
type Migrations struct {
	OldTag string          `json:"old_tag,omitempty"`
	NewTag string          `json:"new_tag,omitempty"`
	Steps  []MigrationStep `json:"steps,omitempty"`

	MigrationStep // the older form, of one step
}

// MigrationStep is one step of Migrations. Its parts apply in the order of the fields.
type MigrationStep struct {
	New         []string        `json:"new_classes,omitempty"`
	NewSQLite   []string        `json:"new_sqlite_classes,omitempty"`
	Renamed     []ClassRename   `json:"renamed_classes,omitempty"`
	Transferred []ClassTransfer `json:"transferred_classes,omitempty"`
	Deleted     []string        `json:"deleted_classes,omitempty"`
}

// ClassRename gives the objects of one class to another.
type ClassRename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ClassTransfer takes the objects of another script's class over.
type ClassTransfer struct {
	From       string `json:"from"`
	FromScript string `json:"from_script"`
	To         string `json:"to"`
}

// planMigrations applies migrations to the plan.
func (s *Service) planMigrations(ctx context.Context, p *objectPlan, m *Migrations) error {
	steps := m.Steps
	if one := m.MigrationStep; len(one.New)+len(one.NewSQLite)+len(one.Renamed)+len(one.Transferred)+len(one.Deleted) > 0 {
		steps = append([]MigrationStep{one}, steps...)
	}
	if len(steps) > maxMigrationSteps {
		return fail(CodeObjectMigration, 400, "There are %d migrations; at most %d are allowed at once.", len(steps), maxMigrationSteps)
	}
	if err := s.checkTag(ctx, p.script, m); err != nil {
		return err
	}
	p.tag = m.NewTag
	for i := range steps {
		if err := s.planStep(ctx, p, &steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkTag holds that the migrations follow those that were applied.
func (s *Service) checkTag(ctx context.Context, row *scriptRow, m *Migrations) error {
	switch {
	case m.NewTag == "":
		return fail(CodeObjectMigration, 400, "The migrations have no new_tag. Give each migration a tag of its own.")
	case len(m.NewTag) > maxMigrationTag:
		return fail(CodeObjectMigration, 400, "The migration tag is longer than %d bytes.", maxMigrationTag)
	case m.OldTag != row.migrationTag && row.migrationTag == "":
		return fail(CodeMigrationTag, 412, "Migration tag precondition failed; the script has no migration tag yet, and the upload expects '%s'.", clip(m.OldTag))
	case m.OldTag != row.migrationTag:
		return fail(CodeMigrationTag, 412, "Migration tag precondition failed; current tag is '%s'.", row.migrationTag)
	}
	if row.isNew {
		return nil
	}
	var applied int
	if err := s.db().QueryRowContext(ctx, `SELECT count(*) FROM object_migrations WHERE script_id = ? AND tag = ?`, row.id, m.NewTag).Scan(&applied); err != nil {
		return internal("read the migrations", err)
	}
	if applied > 0 {
		return fail(CodeMigrationTag, 412, "Migration tag precondition failed; the tag '%s' was applied before and current tag is '%s'. Migrations do not go back: add a new one at the end.", m.NewTag, row.migrationTag)
	}
	return nil
}

func (s *Service) planStep(ctx context.Context, p *objectPlan, step *MigrationStep) error {
	for _, class := range step.New {
		if err := p.create(class, false); err != nil {
			return err
		}
	}
	for _, class := range step.NewSQLite {
		if err := p.create(class, true); err != nil {
			return err
		}
	}
	if err := p.rename(step.Renamed); err != nil {
		return err
	}
	for _, t := range step.Transferred {
		if err := s.planTransfer(ctx, p, t); err != nil {
			return err
		}
	}
	for _, class := range step.Deleted {
		if err := p.remove(class); err != nil {
			return err
		}
	}
	return nil
}

func (p *objectPlan) create(class string, sqlite bool) error {
	if err := checkClassName(class); err != nil {
		return err
	}
	if p.after[class] != nil {
		return fail(CodeClassExists, 400, "Cannot apply new-class migration to class '%s' that is already depended on by existing Durable Objects.", class)
	}
	p.after[class] = &namespaceRow{
		Namespace: Namespace{ID: hex32(), Script: p.script.scope.script, Class: class, UseSQLite: sqlite},
		scriptID:  p.script.id, folder: p.script.id,
	}
	p.created = append(p.created, class)
	return nil
}

// rename applies all renames of one step at once: two classes can change places.
func (p *objectPlan) rename(all []ClassRename) error {
	moved := make([]*namespaceRow, len(all))
	for i, r := range all {
		if err := checkClassName(r.To); err != nil {
			return err
		}
		if moved[i] = p.after[r.From]; moved[i] == nil {
			return fail(CodeObjectMigration, 400, "Cannot apply rename-class migration from class '%s': the script has no Durable Objects of that class.", clip(r.From))
		}
		delete(p.after, r.From)
	}
	for i, r := range all {
		if p.after[r.To] != nil {
			return fail(CodeClassExists, 400, "Cannot apply rename-class migration to class '%s' that is already depended on by existing Durable Objects.", r.To)
		}
		n := *moved[i]
		p.place(&n, r.To)
	}
	return nil
}

// place puts a namespace at another class.
func (p *objectPlan) place(n *namespaceRow, class string) {
	if j := slices.Index(p.created, n.Class); j >= 0 && p.taken[n.ID] == nil && p.isNew(n.ID) {
		p.created[j] = class
	} else if p.taken[n.ID] == nil {
		p.renamed[n.ID] = class
	}
	n.Class = class
	p.after[class] = n
}

// isNew reports whether the namespace is not in the database yet.
func (p *objectPlan) isNew(id string) bool {
	return !slices.ContainsFunc(p.before, func(n namespaceRow) bool { return n.ID == id }) && p.taken[id] == nil
}

func (p *objectPlan) remove(class string) error {
	n := p.after[class]
	switch {
	case n == nil:
		return fail(CodeObjectMigration, 400, "Cannot apply --delete-class migration to class '%s': the script has no Durable Objects of that class.", clip(class))
	case p.taken[n.ID] != nil:
		return fail(CodeObjectMigration, 400, "Cannot apply --delete-class migration to class '%s' in the deployment that transfers it. Delete it in the next one.", class)
	case p.isNew(n.ID):
		p.created = slices.DeleteFunc(p.created, func(c string) bool { return c == class })
	default:
		p.deleted = append(p.deleted, n.ID)
		delete(p.renamed, n.ID)
		delete(p.offered, n.ID)
	}
	delete(p.after, class)
	return nil
}

func (s *Service) planTransfer(ctx context.Context, p *objectPlan, t ClassTransfer) error {
	if err := checkClassName(t.To); err != nil {
		return err
	}
	if t.FromScript == p.script.scope.script {
		return fail(CodeObjectMigration, 400, "Cannot apply transfer-class migration from class '%s' of the script itself. Use a rename-class migration.", clip(t.From))
	}
	n, err := s.namespaceOf(ctx, scope{p.script.scope.account, t.FromScript}, t.From)
	if err != nil {
		return err
	}
	if n == nil || p.taken[n.ID] != nil {
		return fail(CodeObjectMigration, 400, "Cannot apply transfer-class migration from class '%s' of script '%s': that script has no Durable Objects of that class.", clip(t.From), clip(t.FromScript))
	}
	return p.take(n, t.To)
}

// take takes a namespace of another script over.
func (p *objectPlan) take(n *namespaceRow, class string) error {
	if p.after[class] != nil {
		return fail(CodeClassExists, 400, "Cannot apply transfer-class migration to class '%s' that is already depended on by existing Durable Objects.", class)
	}
	p.taken[n.ID] = n
	own := *n
	own.Class, own.scriptID, own.Script = class, p.script.id, p.script.scope.script
	p.after[class] = &own
	return nil
}
