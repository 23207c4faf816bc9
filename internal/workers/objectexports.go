package workers

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
)

// ObjectExport declares what becomes of the objects of a class.
type ObjectExport struct {
	Storage       string `json:"storage,omitempty"` // "sqlite" or "legacy-kv"
	State         string `json:"state,omitempty"`   // one of the states below; "" is stateCreated
	RenamedTo     string `json:"renamed_to,omitempty"`
	TransferredTo string `json:"transferred_to,omitempty"` // a script
	TransferFrom  string `json:"transfer_from,omitempty"`  // a script
}

// The states of an ObjectExport.
const (
	stateCreated     = "created"
	stateDeleted     = "deleted"
	stateRenamed     = "renamed"
	stateTransferred = "transferred"
	stateExpecting   = "expecting-transfer"
)

// What "storage" may be.
const (
	storageSQLite = "sqlite"
	storageKV     = "legacy-kv"
)

// live reports whether the class has objects after the deployment.
func (e ObjectExport) live() bool {
	return e.State == "" || e.State == stateCreated || e.State == stateExpecting
}

// ExportsReport is what a deployment made of the declared exports.
type ExportsReport struct {
	Created         []string         `json:"created"`
	Updated         []string         `json:"updated"`
	Deleted         []string         `json:"deleted"`
	Renamed         []ClassRename    `json:"renamed"`
	Transferred     []ExportTransfer `json:"transferred"`
	TransferPending []ExportPending  `json:"transfer_pending"`
	Warnings        []ExportDetail   `json:"warnings"`
	Info            []ExportDetail   `json:"info"`
	Removable       []string         `json:"removable_entries"`
}

// ExportTransfer says how far a transfer to another script has come.
type ExportTransfer struct {
	Class string `json:"class"`
	To    string `json:"to"`
	Phase string `json:"phase"`
}

// ExportPending is a transfer that the other script has not offered yet.
type ExportPending struct {
	Class string `json:"class"`
	From  string `json:"from"`
}

// ExportDetail says what is wrong with one entry, or worth knowing of it.
type ExportDetail struct {
	Class      string   `json:"class"`
	Scenario   string   `json:"scenario"`
	Message    string   `json:"message"`
	Suggestion string   `json:"suggestion,omitempty"`
	Scripts    []string `json:"referencing_scripts,omitempty"`
}

// readExports reads the exports key of the metadata.
func readExports(u *Upload, raw json.RawMessage) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var kind struct {
			Type      string          `json:"type"`
			Container json.RawMessage `json:"container"`
		}
		if err := json.Unmarshal(all[name], &kind); err != nil {
			return err
		}
		switch {
		case kind.Type == "worker":
			continue // says what is so without it
		case kind.Type != "durable-object":
			return fail(CodeNotOffered, 400, "The export %q is of type %q, which this release does not offer. Remove it from the configuration.", clip(name), clip(kind.Type))
		case len(kind.Container) > 0 && !emptyJSON(kind.Container):
			return fail(CodeNotOffered, 400, "The export %q has a container, which this release does not offer. Remove it from the configuration.", clip(name))
		}
		var e ObjectExport
		if err := json.Unmarshal(all[name], &e); err != nil {
			return err
		}
		if err := checkExport(name, e); err != nil {
			return err
		}
		if u.ObjectExports == nil {
			u.ObjectExports = make(map[string]ObjectExport)
		}
		u.ObjectExports[name] = e
	}
	return nil
}

func checkExport(name string, e ObjectExport) error {
	if err := checkClassName(name); err != nil {
		return err
	}
	bad := ""
	switch e.State {
	case "", stateCreated, stateExpecting:
		if e.Storage != storageSQLite && e.Storage != storageKV {
			bad = `its storage must be "sqlite" or "legacy-kv"`
		}
		if e.State == stateExpecting && e.TransferFrom == "" {
			bad = "it must say transfer_from which script"
		}
	case stateDeleted:
	case stateRenamed:
		if e.RenamedTo == "" {
			bad = "it must say renamed_to which class"
		}
	case stateTransferred:
		if e.TransferredTo == "" {
			bad = "it must say transferred_to which script"
		}
	default:
		bad = "its state is not known"
	}
	if bad != "" {
		return fail(CodeInvalidRequest, 400, "The export %q is not complete: %s.", clip(name), bad)
	}
	return nil
}

func newReport() *ExportsReport {
	return &ExportsReport{
		Created: []string{}, Updated: []string{}, Deleted: []string{}, Renamed: []ClassRename{}, Transferred: []ExportTransfer{},
		TransferPending: []ExportPending{}, Warnings: []ExportDetail{}, Info: []ExportDetail{}, Removable: []string{},
	}
}

// planExports makes the namespaces those that the version declares.
func (s *Service) planExports(ctx context.Context, p *objectPlan, doc *document) error {
	p.report = newReport()
	var wrong []ExportDetail
	fault := func(class, scenario, message, suggestion string) {
		wrong = append(wrong, ExportDetail{Class: class, Scenario: scenario, Message: message, Suggestion: suggestion})
	}
	classes := slices.Sorted(maps.Keys(doc.ObjectExports))
	// What frees a class's name goes before what takes it.
	order := []string{stateDeleted, stateTransferred, stateRenamed, stateExpecting, stateCreated}
	for _, state := range order {
		for _, class := range classes {
			e := doc.ObjectExports[class]
			if e.State == state || e.State == "" && state == stateCreated {
				if err := s.planExport(ctx, p, doc, class, e, fault); err != nil {
					return err
				}
			}
		}
	}
	for _, class := range slices.Sorted(maps.Keys(p.after)) {
		if _, ok := doc.ObjectExports[class]; !ok {
			fault(class, "undeclared-class", "The class has Durable Objects, but exports does not name it.", `Declare it, or say what becomes of its objects: {"type": "durable-object", "state": "deleted"}.`)
		}
	}
	if len(wrong) > 0 {
		return &Error{Code: CodeExportsReconciliation, Status: 400, Message: "The declared exports do not fit the Durable Objects that there are.", Details: wrong}
	}
	return nil
}

// planExport applies one entry.
func (s *Service) planExport(ctx context.Context, p *objectPlan, doc *document, class string, e ObjectExport, fault func(class, scenario, message, suggestion string)) error {
	n := p.after[class]
	if n == nil && (e.State == stateDeleted || e.State == stateRenamed || e.State == stateTransferred) {
		p.report.Removable = append(p.report.Removable, class)
		return nil
	}
	switch e.State {
	case stateDeleted:
		p.report.Deleted = append(p.report.Deleted, class)
		return p.remove(class)
	case stateTransferred:
		p.offered[n.ID] = e.TransferredTo
		p.report.Transferred = append(p.report.Transferred, ExportTransfer{Class: class, To: e.TransferredTo, Phase: "offered"})
		return nil
	case stateRenamed:
		if to, ok := doc.ObjectExports[e.RenamedTo]; !ok || !to.live() || p.after[e.RenamedTo] != nil {
			fault(class, "rename-target", "The class is renamed to '"+clip(e.RenamedTo)+"', which is not declared, or has objects of its own.", "Declare the new name as an export of the same storage.")
			return nil
		}
		p.report.Renamed = append(p.report.Renamed, ClassRename{From: class, To: e.RenamedTo})
		return p.rename([]ClassRename{{From: class, To: e.RenamedTo}})
	case stateExpecting:
		if n == nil {
			return s.planClaim(ctx, p, class, e, fault)
		}
	case "", stateCreated:
		if n == nil {
			p.report.Created = append(p.report.Created, class)
			return p.create(class, e.Storage == storageSQLite)
		}
	}
	if n.UseSQLite != (e.Storage == storageSQLite) {
		fault(class, "storage-mismatch", "The storage of a class cannot change once it has objects.", "Declare the storage that it was created with, or another class.")
	}
	if n.transferTo != "" {
		p.offered[n.ID] = "" // the offer is taken back
	}
	return nil
}

// planClaim takes over what another script offers.
func (s *Service) planClaim(ctx context.Context, p *objectPlan, class string, e ObjectExport, fault func(class, scenario, message, suggestion string)) error {
	n, err := s.namespaceOf(ctx, scope{p.script.scope.account, e.TransferFrom}, class)
	if err != nil {
		return err
	}
	switch {
	case n == nil || n.transferTo != p.script.scope.script:
		fault(class, "transfer-not-offered", "The script '"+clip(e.TransferFrom)+"' does not offer its class to this one.", `Deploy it first with {"type": "durable-object", "state": "transferred", "transferred_to": "`+p.script.scope.script+`"}.`)
		return nil
	case n.UseSQLite != (e.Storage == storageSQLite):
		fault(class, "storage-mismatch", "The class to take over has another storage.", "Declare the storage that it was created with.")
		return nil
	}
	p.report.Transferred = append(p.report.Transferred, ExportTransfer{Class: class, To: p.script.scope.script, Phase: "complete"})
	return p.take(n, class)
}
