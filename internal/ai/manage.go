package ai

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai/builtin"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
)

// PullOptions say which model to bring.
type PullOptions struct {
	Name string
	// Repository and Revision are where it is on the hub; "": what the catalogue says, and
	// the newest.
	Repository, Revision string
	Kind                 catalogue.Kind // "": what the catalogue or its config.json says
}

// Kinds are the kinds of models.
func Kinds() []catalogue.Kind {
	return []catalogue.Kind{catalogue.Embeddings, catalogue.EmbeddingsM3, catalogue.Reranking, catalogue.Classification, catalogue.Generation}
}

// Plan says what a pull would bring, without bringing it.
func (s *Service) Plan(ctx context.Context, o *PullOptions) (*modelstore.Plan, error) {
	if err := s.complete(o); err != nil {
		return nil, err
	}
	return s.models.Plan(ctx, o.Repository, o.Revision)
}

// complete checks options, and fills in what the catalogue knows.
func (s *Service) complete(o *PullOptions) error {
	if o.Kind != "" && !slices.Contains(Kinds(), o.Kind) {
		return fault.New(fault.CodeBadInput, "%.50q is no kind of model; there are %s", string(o.Kind), kindNames())
	}
	m, listed := s.catalogue.Find(o.Name)
	if !listed {
		if err := ownName(o.Name); err != nil {
			return err
		}
		if o.Repository == "" {
			return noModel(o.Name)
		}
		return nil
	}
	if builtin.Has(o.Name) {
		return fault.New(fault.CodeInvalidModel, "The model %s is in the binary: there is nothing to download, and no other in its place.", o.Name)
	}
	if !runnable(m.Architecture) {
		return NotOffered("This release has no engine for %s (%s). Route it to an OpenAI-compatible server of yours with ai.routes.", m.Name, m.Architecture)
	}
	if o.Repository == "" {
		o.Repository = m.Repository
	}
	if o.Kind == "" {
		o.Kind = m.Kind
	}
	return nil
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// ownName refuses names of the platform's for models that are not the platform's.
func ownName(name string) error {
	for _, theirs := range []string{"@cf/", "@hf/", "@selvage/"} {
		if strings.HasPrefix(name, theirs) {
			return fault.New(fault.CodeInvalidModel, "The model name %.100q is invalid: names that begin with %s are those of the catalogue. Use one of your own, such as @mine/model.", name, theirs)
		}
	}
	return nil
}

// Pull downloads a model and adds it.
func (s *Service) Pull(ctx context.Context, o *PullOptions, tell modelstore.Progress) (*modelstore.Model, error) {
	plan, err := s.Plan(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &modelstore.Model{Name: o.Name, Kind: o.Kind}
	if listed, ok := s.catalogue.Find(o.Name); ok {
		m.License = listed.License
	}
	return m, s.models.Pull(ctx, m, plan, tell)
}

// Import adds the model of a bundle. Name and kind, if not "", replace those in it.
func (s *Service) Import(ctx context.Context, r io.Reader, name string, kind catalogue.Kind) (*modelstore.Model, error) {
	return s.models.Import(ctx, r, func(m *modelstore.Model) error {
		if name != "" {
			m.Name = name
		}
		if kind != "" {
			m.Kind = kind
		}
		listed, ok := s.catalogue.Find(m.Name)
		if !ok {
			if m.Kind != "" && !slices.Contains(Kinds(), m.Kind) {
				return fault.New(fault.CodeBadInput, "%.50q is no kind of model; there are %s", string(m.Kind), kindNames())
			}
			return ownName(m.Name)
		}
		if builtin.Has(m.Name) {
			return fault.New(fault.CodeInvalidModel, "The model %s is in the binary, and no other can be put in its place. Use a name of your own, such as @mine/model.", m.Name)
		}
		m.Kind, m.License = listed.Kind, listed.License
		return nil
	})
}

// Bundle writes a model that is here as a bundle, which Import reads.
func (s *Service) Bundle(ctx context.Context, name string, w io.Writer) error {
	return s.models.Bundle(ctx, name, w)
}

// Stored lists the models that are here.
func (s *Service) Stored() []*modelstore.Model {
	all := s.models.List()
	slices.SortFunc(all, func(a, b *modelstore.Model) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Disk is what the models that are here take, and may take.
func (s *Service) Disk() (used, quota int64) { return s.models.Usage() }

// Remove deletes a model; those that use it now finish.
func (s *Service) Remove(ctx context.Context, name string) error {
	if builtin.Has(name) {
		return fault.New(fault.CodeInvalidModel, "The model %s is in the binary and takes no space: it cannot be removed.", name)
	}
	m := s.models.Find(name)
	if err := s.models.Remove(ctx, name); err != nil {
		return err
	}
	s.engines.Forget(m.Dir())
	return nil
}
