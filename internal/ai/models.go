package ai

import (
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai/builtin"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
)

// State says whether a model can be run.
type State string

// The states.
const (
	Ready       State = "ready"       // it is here
	Upstream    State = "upstream"    // a server behind the platform runs it
	Missing     State = "missing"     // its weights are not here
	Unsupported State = "unsupported" // this release has no engine for it
)

// Model is a model of the catalogue and what this platform has of it.
type Model struct {
	catalogue.Model

	State State
	// Hint says what to do when the model cannot be run; "" when it can.
	Hint string
}

// Filter selects models; empty fields select all.
type Filter struct {
	Search string // in name, description or task; case does not count
	Author string
	Task   string // its name or id
}

func (f *Filter) matches(m *catalogue.Model) bool {
	task := m.Kind.Task()
	if f.Search != "" {
		text := strings.ToLower(m.Name + "\n" + m.Description + "\n" + task.Name)
		if !strings.Contains(text, strings.ToLower(f.Search)) {
			return false
		}
	}
	if f.Author != "" && !strings.EqualFold(f.Author, m.Author()) {
		return false
	}
	return f.Task == "" || strings.EqualFold(f.Task, task.Name) || f.Task == task.ID
}

// Models lists models by name.
func (s *Service) Models(f Filter) []Model {
	out := []Model{}
	for _, m := range s.all() {
		if f.matches(&m) {
			out = append(out, s.describe(m))
		}
	}
	return out
}

// all are the models of the catalogue and those that only a route knows, by name.
func (s *Service) all() []catalogue.Model {
	models := slices.Clone(s.catalogue.Models())
	for _, name := range s.ownRoutes() {
		models = append(models, ownModel(name))
	}
	for _, here := range s.models.List() {
		if _, listed := s.catalogue.Find(here.Name); !listed && !slices.Contains(s.ownRoutes(), here.Name) {
			models = append(models, stored(here))
		}
	}
	slices.SortFunc(models, func(a, b catalogue.Model) int { return strings.Compare(a.Name, b.Name) })
	return models
}

// ownModel is a model that only a route knows.
func ownModel(name string) catalogue.Model {
	return catalogue.Model{Name: name, Kind: catalogue.Generation, Description: "A model of the operator's own, on a server behind this platform."}
}

// stored is a model of the operator's own that is here.
func stored(here *modelstore.Model) catalogue.Model {
	return catalogue.Model{
		Name: here.Name, Kind: here.Kind, Architecture: here.Architecture, License: here.License, Description: "A model of the operator's own.",
	}
}

// here returns a model that this platform has, on disk or in its binary; nil: it has not.
func (s *Service) here(name string) *modelstore.Model {
	if builtin.Has(name) {
		m, _ := s.catalogue.Find(name) // a test holds that it is there
		return modelstore.InBinary(name, m.Kind, m.Architecture)
	}
	return s.models.Find(name)
}

// Model returns the model of a name.
func (s *Service) Model(name string) (Model, error) {
	if m, ok := s.catalogue.Find(name); ok {
		return s.describe(m), nil
	}
	if slices.Contains(s.ownRoutes(), name) {
		return s.describe(ownModel(name)), nil
	}
	if here := s.models.Find(name); here != nil {
		return s.describe(stored(here)), nil
	}
	return Model{}, noModel(name)
}

// Schemas says what a model takes and returns.
func (s *Service) Schemas(name string) (*catalogue.Schemas, error) {
	m, err := s.Model(name)
	if err != nil {
		return nil, err
	}
	return s.catalogue.Schemas(m.Kind), nil
}

// runnable says whether this release has an engine for an architecture.
func runnable(architecture string) bool {
	switch architecture {
	case "bert", "roberta", "xlm-roberta", "distilbert",
		"llama", "mistral", "qwen2", "qwen3":
		return true
	}
	return false
}

func (s *Service) describe(m catalogue.Model) Model {
	d := Model{Model: m, State: Missing}
	if u, _ := s.route(m.Name); u != nil {
		d.State = Upstream
		return d
	}
	if builtin.Has(m.Name) {
		d.State = Ready
		return d
	}
	if !runnable(m.Architecture) {
		d.State = Unsupported
		d.Hint = "this release has no engine for it; route it to an OpenAI-compatible server of yours with ai.routes"
		return d
	}
	if s.models.Find(m.Name) != nil {
		d.State = Ready
		return d
	}
	d.Hint = "run \"selvage ai pull " + m.Name + "\""
	return d
}

// noModel is the platform's error for a name that it does not know.
func noModel(name string) *fault.Error {
	return fault.New(fault.CodeNoModel, "No such model %s or task. \"selvage ai models\" lists those there are.", clip(name))
}

// notHere is the same for a model that is known, with what to do.
func notHere(m *Model) *fault.Error {
	return fault.New(fault.CodeNoModel, "No such model %s or task: it is in the catalogue, but not on this platform; %s.", m.Name, m.Hint)
}

func clip(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s), "?")
}
