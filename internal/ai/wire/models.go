// Package wire has the forms in which models, answers and errors of Workers AI cross
// the doors: the binding's and the API's.
package wire

import (
	"encoding/json"
	"strconv"

	"github.com/selvage-dev/selvage/internal/ai"
)

// Model is a model as models/search lists it.
type Model struct {
	ID          string     `json:"id"`
	Source      int        `json:"source"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Task        Task       `json:"task"`
	Tags        []string   `json:"tags"`
	Properties  []Property `json:"properties"`
	// Selvage is what this platform has of it; it is ours.
	Selvage State `json:"selvage"`
}

// Task is what a model is for.
type Task struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Property is one fact.
type Property struct {
	ID    string          `json:"property_id"`
	Value json.RawMessage `json:"value"`
}

// State says whether a model can be run here.
type State struct {
	State string `json:"state"`
	Hint  string `json:"hint,omitempty"`
}

// Models writes a list of models.
func Models(models []ai.Model) []Model {
	out := make([]Model, len(models))
	for i := range models {
		out[i] = model(&models[i])
	}
	return out
}

func model(m *ai.Model) Model {
	task := m.Kind.Task()
	w := Model{
		ID: m.ID(), Source: 1, Name: m.Name, Description: m.Description, Task: Task(task), Tags: []string{}, Properties: []Property{},
		Selvage: State{string(m.State), m.Hint},
	}
	text := func(id, value string) {
		if value == "" {
			return
		}
		raw, _ := json.Marshal(value) // a string always encodes
		w.Properties = append(w.Properties, Property{id, raw})
	}
	number := func(id string, n int) {
		if n > 0 {
			text(id, strconv.Itoa(n))
		}
	}
	number("context_window", m.Context)
	number("output_dimensions", m.Dimensions)
	if m.Tools {
		text("function_calling", "true")
	}
	text("license", m.License)
	if m.Repository != "" {
		text("info", "https://huggingface.co/"+m.Repository)
	}
	return w
}
