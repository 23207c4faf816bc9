package api

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/workers"
)

// scriptSettingsJSON are the settings of a script that no version holds.
type scriptSettingsJSON struct {
	Tags          []string        `json:"tags"`
	Logpush       bool            `json:"logpush"`
	Observability json.RawMessage `json:"observability"`
	TailConsumers json.RawMessage `json:"tail_consumers"`
}

func newScriptSettingsJSON(s workers.Settings) scriptSettingsJSON {
	return scriptSettingsJSON{Tags: list(s.Tags), Logpush: s.Logpush, Observability: s.Observability, TailConsumers: s.TailConsumers}
}

// settingsJSON is what wrangler compares a configuration with: the script's settings and those of the
// version uploaded last, whose bindings an "inherit" refers to.
type settingsJSON struct {
	scriptSettingsJSON
	Bindings           []json.RawMessage `json:"bindings"`
	CompatibilityDate  string            `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string          `json:"compatibility_flags"`
	UsageModel         string            `json:"usage_model"`
	Placement          json.RawMessage   `json:"placement,omitempty"`
	Limits             json.RawMessage   `json:"limits,omitempty"`
}

func getSettings(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	j := settingsJSON{
		scriptSettingsJSON: newScriptSettingsJSON(s.Settings),
		Bindings:           []json.RawMessage{}, CompatibilityFlags: []string{}, UsageModel: workers.UsageModel,
	}
	if v := s.Latest; v != nil {
		j.Bindings, j.CompatibilityDate, j.CompatibilityFlags = list(v.Bindings), v.CompatibilityDate, list(v.CompatibilityFlags)
		j.Placement, j.Limits = v.Placement, v.Limits
	}
	return j, nil
}

func getScriptSettings(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return newScriptSettingsJSON(s.Settings), nil
}

type settingsPatchJSON struct {
	Tags          *[]string       `json:"tags"`
	Logpush       *bool           `json:"logpush"`
	Observability json.RawMessage `json:"observability"`
	TailConsumers json.RawMessage `json:"tail_consumers"`
}

func patchScriptSettings(c *call) (any, error) {
	var in settingsPatchJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	s, err := c.Workers.PatchSettings(c.ctx(), c.account(), c.script(), workers.SettingsPatch{
		Tags: in.Tags, Logpush: in.Logpush, Observability: in.Observability, TailConsumers: in.TailConsumers,
	})
	if err != nil {
		return nil, err
	}
	return newScriptSettingsJSON(s), nil
}
