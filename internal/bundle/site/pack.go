package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/bundle"
)

// Packed is a site's code and settings in a form that one process hands to another.
type Packed struct {
	// Output is the folder of the site: a slash-separated path below the folder that was given to [Site.Pack].
	// Empty: no wrangler file names it.
	Output string `json:"output,omitempty"`
	// ConfigHash is not empty when the settings are in Metadata.
	ConfigHash string `json:"config_hash,omitempty"`
	// Written is the folder as the wrangler file names it.
	Written string `json:"written,omitempty"`
	Routes  string `json:"routes,omitempty"`
	Code    bool   `json:"code"`
	// Metadata is that of the upload, without main_module.
	Metadata map[string]any `json:"metadata,omitempty"`
	// Modules begin with the main module.
	Modules []PackedModule `json:"modules,omitempty"`
	// Vars are the plain variables among the settings.
	Vars map[string]string `json:"vars,omitempty"`
}

// PackedModule is one module.
type PackedModule struct {
	Name    string      `json:"name"`
	Kind    bundle.Kind `json:"kind"`
	Content []byte      `json:"content"`
}

// Pack packs the site. Its folder must be below base, an absolute path. What is mounted is not packed.
func (s *Site) Pack(base string) (*Packed, error) {
	out := &Packed{ConfigHash: s.ConfigHash, Routes: s.Routes, Code: s.Code != nil, Vars: map[string]string{}}
	var err error
	if s.Output != "" {
		if out.Output, err = below(base, s.Output); err != nil {
			return nil, err
		}
	}
	if s.Config != nil {
		out.Written = s.Config.PagesOutput
		for _, b := range s.Config.Bindings {
			if text, ok := b.Fields["text"].(string); ok && b.Type == "plain_text" {
				out.Vars[b.Name] = text
			}
		}
	}
	if s.Code == nil {
		return out, nil
	}
	if out.Metadata, err = s.Metadata(); err != nil {
		return nil, err
	}
	for _, m := range append([]bundle.Module{s.Code.Main}, s.Code.Modules...) {
		out.Modules = append(out.Modules, PackedModule{Name: m.Name, Kind: m.Kind, Content: m.Content})
	}
	return out, nil
}

func below(base, dir string) (string, error) {
	rel, err := filepath.Rel(base, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return "", errorf("the folder %s leads out of the project", dir)
	}
	return filepath.ToSlash(rel), nil
}

// Unpack reads what Pack made, as text that nobody vouches for: paths are local ones, kinds are known, and there is a
// main module where there is code. Whether the rest makes sense is for whoever deploys it to say.
func Unpack(text []byte) (*Packed, error) {
	var p Packed
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the packed site: %w", err)
	}
	if p.Output != "" && !filepath.IsLocal(p.Output) {
		return nil, errors.New("the packed site's folder is no local path")
	}
	if p.Code != (len(p.Modules) > 0) {
		return nil, errors.New("the packed site has code without modules, or modules without code")
	}
	for _, m := range p.Modules {
		if m.Name == "" || m.Kind.ContentType() == "" {
			return nil, fmt.Errorf("a module of the packed site has no name or is of an unknown kind %.20q", m.Kind)
		}
	}
	if p.Code {
		if p.Metadata == nil {
			p.Metadata = make(map[string]any)
		}
		p.Metadata["main_module"] = p.Modules[0].Name
	}
	return &p, nil
}
