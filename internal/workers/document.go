package workers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"

	"github.com/selvage-dev/selvage/internal/assets"
)

// document is the part of a version that is stored as JSON. Fields are only
// ever added: every later release reads it.
type document struct {
	MainModule         string            `json:"main_module,omitempty"`
	BodyPart           string            `json:"body_part,omitempty"`
	Modules            []Module          `json:"modules,omitempty"`
	Bindings           []binding         `json:"bindings,omitempty"`
	CompatibilityDate  string            `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string          `json:"compatibility_flags,omitempty"`
	Limits             json.RawMessage   `json:"limits,omitempty"`
	Placement          json.RawMessage   `json:"placement,omitempty"`
	Assets             *documentAssets   `json:"assets,omitempty"`
	Site               string            `json:"site,omitempty"` // whose files are served; see Options.Sites
	Cache              *CacheOptions     `json:"cache,omitempty"`
	Annotations        map[string]string `json:"annotations,omitempty"`
	Origin             Origin            `json:"origin,omitzero"`
	Handlers           []string          `json:"handlers,omitempty"`
	Etag               string            `json:"etag,omitempty"`
	StartupUS          int64             `json:"startup_us,omitempty"`
	Exports            []string          `json:"exports,omitempty"` // of the main module, by name
	// ObjectExports declare Durable Object classes; nil for a version that has
	// them by migrations.
	ObjectExports map[string]ObjectExport `json:"object_exports,omitempty"`

	// Containers are the classes of which each object has a container.
	Containers []ContainerClass `json:"containers,omitempty"`

	// Entrypoints are the exports that service bindings can name; nil when they
	// are not known, as of versions of older releases.
	Entrypoints *[]string `json:"entrypoints,omitempty"`
}

// documentAssets are the static assets of a version. The manifest may have
// 100,000 entries and is therefore a blob.
type documentAssets struct {
	Manifest string        `json:"manifest"` // blob: JSON of assets.Manifest
	Files    int           `json:"files"`
	Config   assets.Config `json:"config"`
}

// binding is a stored binding. Which fields are set depends on Type.
type binding struct {
	Name   string          `json:"name"`
	Type   string          `json:"type"`
	Text   string          `json:"text,omitempty"`   // plain_text
	JSON   json.RawMessage `json:"json,omitempty"`   // json
	Part   string          `json:"part,omitempty"`   // wasm_module, text_blob, data_blob
	Blob   string          `json:"blob,omitempty"`   // content of Part
	Size   int64           `json:"size,omitempty"`   // bytes of Blob
	Sealed []byte          `json:"sealed,omitempty"` // secret_text
	Mark   []byte          `json:"mark,omitempty"`   // keyed digest of a secret: tells whether it changed

	NamespaceID string     `json:"namespace_id,omitempty"` // kv_namespace
	RateLimit   *rateLimit `json:"ratelimit,omitempty"`    // ratelimit
	DatabaseID  string     `json:"database_id,omitempty"`  // d1
	ClassName   string     `json:"class_name,omitempty"`   // durable_object_namespace
	ScriptName  string     `json:"script_name,omitempty"`  // durable_object_namespace of another script

	Service *serviceRef `json:"service,omitempty"` // service

	IndexName    string `json:"index_name,omitempty"`    // vectorize
	IndexVersion string `json:"index_version,omitempty"` // vectorize: v1 or v2
}

// hasCode reports whether the version has a script to run.
func (d *document) hasCode() bool { return d.MainModule != "" || d.BodyPart != "" }

// blobs returns the ids of all blobs that the version itself refers to; those
// of its assets are not among them.
func (d *document) blobs() []string {
	seen := make(map[string]bool)
	for _, m := range d.Modules {
		seen[m.Blob] = true
	}
	for _, b := range d.Bindings {
		if b.Blob != "" {
			seen[b.Blob] = true
		}
	}
	if d.Assets != nil {
		seen[d.Assets.Manifest] = true
	}
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	return ids
}

// secrets returns the digest of each secret by name.
func (d *document) secrets() map[string]string {
	m := make(map[string]string)
	for _, b := range d.Bindings {
		if b.Type == typeSecretText {
			m[b.Name] = string(b.Mark)
		}
	}
	return m
}

// binding returns the binding of that name, or nil.
func (d *document) binding(name string) *binding {
	for i := range d.Bindings {
		if d.Bindings[i].Name == name {
			return &d.Bindings[i]
		}
	}
	return nil
}

// etag digests the code: which modules, of which type, with which content.
func (d *document) etag() string {
	h := sha256.New()
	put := func(s string) { // the length keeps ("ab","c") apart from ("a","bc")
		_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s)
	}
	put(d.MainModule)
	put(d.BodyPart)
	for _, m := range d.Modules {
		put(m.Name)
		put(m.ContentType)
		put(m.Blob)
	}
	return hex.EncodeToString(h.Sum(nil))
}
