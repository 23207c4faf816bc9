// Package catalogue knows the text models of the original platform that have open
// weights, by their names there: what each does, what it takes and returns, where its
// weights are and under which licence. It knows nothing of what this platform has of
// them, and pins nothing: revisions, sizes and digests are recorded when a model is
// pulled.
package catalogue

import (
	_ "embed" // the data files
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ai/schema"
)

//go:embed models.json
var modelsJSON []byte

//go:embed schemas.json
var schemasJSON []byte

// Kind is what a model takes and returns.
type Kind string

// The kinds.
const (
	Embeddings     Kind = "embeddings"
	EmbeddingsM3   Kind = "embeddings-m3" // also compares texts with a query
	Reranking      Kind = "reranking"
	Classification Kind = "classification"
	Generation     Kind = "generation"
)

// Model describes one model.
type Model struct {
	Name         string `json:"name"`
	Kind         Kind   `json:"kind"`
	Architecture string `json:"architecture"` // as config.json of its weights calls it
	Repository   string `json:"repository"`   // on the hub; "" for none
	License      string `json:"license"`
	Description  string `json:"description"`
	Gated        bool   `json:"gated"`   // the hub wants a token of somebody who accepted the licence
	Tools        bool   `json:"tools"`   // was trained to call functions
	Context      int    `json:"context"` // tokens
	Dimensions   int    `json:"dimensions"`
	// NeuronsIn and NeuronsOut are the platform's prices of a million tokens, as
	// published in February 2025; 0: not published then.
	NeuronsIn  int64 `json:"neurons_in"`
	NeuronsOut int64 `json:"neurons_out"`
}

// ID is the model's identifier in the API: the platform's own are not known for all.
func (m *Model) ID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("selvage:ai:"+m.Name)).String()
}

// Author is the part of the name that says whose model it is.
func (m *Model) Author() string {
	parts := strings.Split(m.Name, "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

// Task is what a model is for, in the platform's words.
type Task struct{ ID, Name, Description string }

// Task returns what models of the kind are for.
func (k Kind) Task() Task {
	t := Task{Name: "Text Generation", Description: "Writes text: answers, summaries, code."}
	switch k {
	case Embeddings, EmbeddingsM3:
		t = Task{Name: "Text Embeddings", Description: "Turns text into vectors, for search by meaning."}
	case Reranking, Classification:
		t = Task{Name: "Text Classification", Description: "Puts text into classes, or says how well it fits."}
	case Generation:
	}
	t.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("selvage:ai:task:"+t.Name)).String()
	return t
}

// Schemas of what a kind of model takes and returns.
type Schemas struct {
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
	check  *schema.Schema
}

// Check compares inputs with the schema; see [schema.Schema.Check].
func (s *Schemas) Check(inputs any) error { return s.check.Check(inputs) }

// Catalogue is the data of both files. It is safe for concurrent use.
type Catalogue struct {
	models  []Model // by name
	schemas map[Kind]*Schemas
}

// Load reads the catalogue in the binary.
func Load() (*Catalogue, error) {
	c := &Catalogue{}
	if err := json.Unmarshal(modelsJSON, &c.models); err != nil {
		return nil, fmt.Errorf("catalogue: models.json: %w", err)
	}
	if err := json.Unmarshal(schemasJSON, &c.schemas); err != nil {
		return nil, fmt.Errorf("catalogue: schemas.json: %w", err)
	}
	for kind, s := range c.schemas {
		var err error
		if s.check, err = schema.Compile(s.Input); err != nil {
			return nil, fmt.Errorf("catalogue: schemas.json: %s: %w", kind, err)
		}
	}
	slices.SortFunc(c.models, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return c, nil
}

// Models returns all models by name. The caller does not change them.
func (c *Catalogue) Models() []Model { return c.models }

// Find returns the model of a name.
func (c *Catalogue) Find(name string) (Model, bool) {
	i, ok := slices.BinarySearchFunc(c.models, name, func(m Model, name string) int { return strings.Compare(m.Name, name) })
	if !ok {
		return Model{}, false
	}
	return c.models[i], true
}

// Schemas returns those of a kind, nil for one there is not.
func (c *Catalogue) Schemas(k Kind) *Schemas { return c.schemas[k] }
