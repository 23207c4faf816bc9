package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
)

// What an operator does with models; all of it is ours. Their names have slashes, so they
// are in the query.
const ownModelsPath = ownPath + "/ai/models"

// maxBundle bounds one model that is brought; the store's quota is what counts.
const maxBundle = 1 << 44

func aiModelRoutes() []route {
	const read = accounts.ScopeAIRead
	// Models are programs' worth of trust and gigabytes of disk: the operator's to decide.
	const operator = accounts.ScopeAll
	return []route{
		{Method: http.MethodGet, Pattern: ownModelsPath, Scope: read, Handler: listStored},
		{Method: http.MethodDelete, Pattern: ownModelsPath, Scope: operator, Handler: removeStored},
		{Method: http.MethodPost, Pattern: ownModelsPath + "/plan", Scope: operator, MaxBody: smallBody, Handler: planPull},
		{Method: http.MethodPost, Pattern: ownModelsPath + "/pull", Scope: operator, MaxBody: smallBody, Handler: pullModel},
		{Method: http.MethodPost, Pattern: ownModelsPath + "/import", Scope: operator, MaxBody: maxBundle, Handler: importModel},
		{Method: http.MethodGet, Pattern: ownModelsPath + "/bundle", Scope: read, Handler: bundleModel},
	}
}

// storedJSON is a model that is here.
type storedJSON struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	State    string            `json:"state"`
	Hint     string            `json:"hint,omitempty"`
	Source   string            `json:"source"`
	Revision string            `json:"revision,omitempty"`
	License  string            `json:"license,omitempty"`
	Size     int64             `json:"size"`
	Files    []modelstore.File `json:"files"`
	Created  time.Time         `json:"created_on"`
}

func (c *call) storedModel(m *modelstore.Model) storedJSON {
	out := storedJSON{Name: m.Name, Kind: string(m.Kind), Source: m.Source, Revision: m.Revision, License: m.License, Size: m.Size, Files: m.Files, Created: m.Created}
	if d, err := c.AI.Model(m.Name); err == nil {
		out.State, out.Hint = string(d.State), d.Hint
	}
	return out
}

func listStored(c *call) (any, error) {
	used, quota := c.AI.Disk()
	models := []storedJSON{}
	for _, m := range c.AI.Stored() {
		models = append(models, c.storedModel(m))
	}
	return map[string]any{"models": models, "used": used, "quota": quota}, nil
}

func removeStored(c *call) (any, error) {
	name := c.query().Get("name")
	return map[string]string{"name": name}, c.AI.Remove(c.ctx(), name)
}

// pullInput says which model to bring.
type pullInput struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Revision   string `json:"revision"`
	Kind       string `json:"kind"`
}

func (c *call) pullOptions() (*ai.PullOptions, error) {
	var in pullInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return &ai.PullOptions{Name: in.Name, Repository: in.Repository, Revision: in.Revision, Kind: catalogue.Kind(in.Kind)}, nil
}

func planPull(c *call) (any, error) {
	o, err := c.pullOptions()
	if err != nil {
		return nil, err
	}
	p, err := c.AI.Plan(c.ctx(), o)
	if err != nil {
		return nil, err
	}
	return map[string]any{"repository": p.Repository, "revision": p.Revision, "size": p.Size, "files": p.Files}, nil
}

// pullModel brings a model and tells how far it is, one JSON object a line; the last one
// has the model, or the error.
func pullModel(c *call) (any, error) {
	o, err := c.pullOptions()
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		rc := http.NewResponseController(w)
		w.Header().Set("Content-Type", "application/x-ndjson")
		line := func(v any) {
			if raw, err := json.Marshal(v); err == nil {
				_, _ = w.Write(append(raw, '\n')) // who does not read it is gone, which ends the pull
				_ = rc.Flush()
			}
		}
		m, err := c.AI.Pull(c.ctx(), o, func(file string, done, total int64) {
			line(map[string]any{"file": file, "done": done, "total": total})
		})
		if err == nil {
			line(map[string]any{"model": c.storedModel(m)})
			return nil
		}
		if c.ctx().Err() != nil {
			return err
		}
		f := public(err)
		if f.Internal {
			if _, ours := errors.AsType[*ai.Error](err); !ours {
				c.Log.ErrorContext(c.ctx(), "a pull failed", "ray", c.ray, "model", o.Name, "error", err)
			}
		}
		line(map[string]any{"error": message{Code: f.Code, Message: f.Message}})
		return nil
	}), nil
}

func importModel(c *call) (any, error) {
	q := c.query()
	m, err := c.AI.Import(c.ctx(), c.r.Body, q.Get("name"), catalogue.Kind(q.Get("kind")))
	if err != nil {
		return nil, err
	}
	return c.storedModel(m), nil
}

func bundleModel(c *call) (any, error) {
	name := c.query().Get("name")
	return stream(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/x-tar")
		return c.AI.Bundle(c.ctx(), name, w)
	}), nil
}
