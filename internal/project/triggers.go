package project

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Route is a pattern, or with Custom a hostname, at which the worker answers.
type Route struct {
	Pattern string `json:"pattern"`
	ZoneID  string `json:"zone_id"`
	Zone    string `json:"zone_name"`
	Custom  bool   `json:"custom_domain"`
	Enabled *bool  `json:"enabled"`
	Preview *bool  `json:"previews_enabled"`
}

// Workflow is a workflow of this worker, for the trigger API.
type Workflow struct {
	Name string
	Body map[string]any
}

// QueueReader makes the worker read a queue.
type QueueReader struct {
	Queue string
	Body  map[string]any
}

func (c *Config) routes(values map[string]any, p *problems) {
	list, set := values["routes"].([]any)
	if !set {
		if one, ok := values["route"]; ok && one != "" {
			list = []any{one}
		}
	} else if values["route"] != nil {
		p.warnf("\"route\" has no effect beside \"routes\"")
	}
	for _, v := range list {
		if pattern, ok := v.(string); ok && pattern != "" {
			c.Routes = append(c.Routes, Route{Pattern: pattern})
			continue
		}
		var r Route
		object, isObject := v.(map[string]any)
		if !isObject || into(object, &r) != nil || r.Pattern == "" || r.ZoneID != "" && r.Zone != "" {
			p.errorf("the route %s is not valid; want a pattern, or an object with \"pattern\" and one of \"zone_name\", \"zone_id\" or \"custom_domain\"", show(v))
			continue
		}
		if r.Custom && strings.ContainsAny(r.Pattern, "*/") {
			p.errorf("the custom domain %q is not a hostname: it can have no \"*\" and no path", r.Pattern)
			continue
		}
		c.Routes = append(c.Routes, r)
	}
}

// owned collects workflows and queues whose settings are sent after the upload.
func (c *Config) owned(values map[string]any, p *problems) {
	list, _ := values["workflows"].([]any)
	for _, v := range list {
		object, _ := v.(map[string]any)
		name, _ := object["name"].(string)
		script, _ := object["script_name"].(string)
		if name == "" || script != "" && script != c.Name {
			continue
		}
		body := map[string]any{"class_name": object["class_name"]}
		for _, k := range []string{"limits", "concurrency", "default_retention", "jurisdiction"} {
			if object[k] != nil {
				body[k] = object[k]
			}
		}
		if s := object["schedules"]; s != nil {
			body["schedules"] = crons(s)
		}
		c.Workflows = append(c.Workflows, Workflow{Name: name, Body: body})
	}
	queues, _ := values["queues"].(map[string]any)
	readers, _ := queues["consumers"].([]any)
	for i, v := range readers {
		object, _ := v.(map[string]any)
		name, _ := object["queue"].(string)
		if name == "" {
			p.errorf("\"queues.consumers[%d]\" has no \"queue\": %s", i, show(v))
			continue
		}
		c.Consumers = append(c.Consumers, QueueReader{Queue: name, Body: object})
	}
}

func crons(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, len(list))
	for i, cron := range list {
		out[i] = map[string]any{"cron": cron}
	}
	return out
}

// blobs are the files of bindings that only the service-worker format has.
func (c *Config) blobs(values map[string]any, dir string, p *problems) {
	for _, kind := range []struct{ key, kind string }{
		{"wasm_modules", "wasm_module"}, {"text_blobs", "text_blob"}, {"data_blobs", "data_blob"},
	} {
		object, _ := values[kind.key].(map[string]any)
		for name, v := range object {
			file, ok := v.(string)
			if !ok || file == "" {
				p.errorf("\"%s.%s\" is %s; want the path of a file", kind.key, name, show(v))
				continue
			}
			c.Blobs = append(c.Blobs, Blob{Name: name, Kind: kind.kind, File: resolve(dir, file)})
		}
	}
}

// LocalObjects are the classes of Durable Objects that the worker has to export.
func (c *Config) LocalObjects() []string { return c.local("durable_object_namespace") }

// LocalWorkflows are the classes of workflows that the worker has to export.
func (c *Config) LocalWorkflows() []string { return c.local("workflow") }

func (c *Config) local(kind string) []string {
	var out []string
	for _, b := range c.Bindings {
		if b.Type != kind {
			continue
		}
		script, _ := b.Fields["script_name"].(string)
		if class, ok := b.Fields["class_name"].(string); ok && (script == "" || script == c.Name) {
			out = append(out, class)
		}
	}
	return out
}

// fieldOf says whether a struct has a field for a key of JSON.
func fieldOf(to any, key string) bool {
	t := reflect.TypeOf(to).Elem()
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == key && name != "-" {
			return true
		}
	}
	return false
}

// Settings are a consumer's, in the API's form.
func (q QueueReader) Settings() map[string]any {
	out := map[string]any{}
	for from, to := range map[string]string{
		"max_batch_size": "batch_size", "max_retries": "max_retries", "max_concurrency": "max_concurrency", "retry_delay": "retry_delay",
	} {
		if v := q.Body[from]; v != nil {
			out[to] = v
		}
	}
	if seconds, ok := q.Body["max_batch_timeout"].(json.Number); ok {
		if n, err := seconds.Float64(); err == nil {
			out["max_wait_time_ms"] = n * 1000
		}
	}
	if dead := q.Body["dead_letter_queue"]; dead != nil {
		out["dead_letter_queue"] = dead
	}
	return out
}
