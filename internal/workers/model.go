package workers

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
)

// UsageModel is the one usage model there is.
const UsageModel = "standard"

// Names of annotations that have a meaning.
const (
	AnnotationMessage     = "workers/message"
	AnnotationTag         = "workers/tag"
	AnnotationAlias       = "workers/alias" // creates a preview alias
	AnnotationTriggeredBy = "workers/triggered_by"
)

// Origin says who asked for a change and by what means.
type Origin struct {
	AuthorID    string `json:"author_id,omitempty"`
	AuthorEmail string `json:"author_email,omitempty"`
	Source      string `json:"source,omitempty"` // "wrangler", "api", …
}

// Upload is a version to make. [DecodeMetadata] fills in all that the metadata
// part says; the caller adds Modules, InheritStrict and Origin.
type Upload struct {
	// MainModule names the module with the handlers. BodyPart names the one
	// script of the service-worker format instead. Both empty: assets only.
	MainModule string         `json:"main_module"`
	BodyPart   string         `json:"body_part"`
	Modules    []UploadModule `json:"modules"`
	// Bindings are in the API's form: {"name":…,"type":…,…}.
	Bindings           []json.RawMessage `json:"bindings"`
	CompatibilityDate  string            `json:"compatibility_date"`
	CompatibilityFlags []string          `json:"compatibility_flags"`
	// KeepBindings lists the types of bindings to carry over from the latest version.
	KeepBindings []string `json:"keep_bindings"`
	// InheritStrict refuses an inherit binding without a predecessor (10057);
	// without it such a binding is left out.
	InheritStrict bool `json:"inherit_strict"`
	// Site names whose files the version serves with, instead of assets of its
	// own; see Options.Sites.
	Site        string            `json:"site,omitempty"`
	Assets      *UploadAssets     `json:"-"` // nil: none, unless KeepAssets
	KeepAssets  bool              `json:"keep_assets"`
	Annotations map[string]string `json:"annotations"`

	Limits    json.RawMessage `json:"limits"`    // kept and returned
	Placement json.RawMessage `json:"placement"` // kept and returned

	Cache *CacheOptions `json:"cache_options"` // nil: the worker's answers are not cached

	// Script settings; nil leaves them as they are. They belong to the script,
	// not to the version: only [Service.PutScript] applies them.
	Logpush       *bool           `json:"logpush"`
	Observability json.RawMessage `json:"observability"`
	TailConsumers json.RawMessage `json:"tail_consumers"`
	Tags          *[]string       `json:"tags"`

	// Migrations and ObjectExports are the two ways to say which exported
	// classes have Durable Objects.
	Migrations    *Migrations             `json:"migrations,omitempty"`
	ObjectExports map[string]ObjectExport `json:"exports,omitempty"`

	// Containers are the classes of which each object has a container.
	Containers []ContainerClass `json:"containers,omitempty"`

	Origin Origin `json:"-"`
}

// UploadModule is one part of a script, already stored with [Service.PutModule].
type UploadModule struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Blob        string `json:"blob"`
	Size        int64  `json:"size"` // bytes
}

// UploadAssets refers to a completed asset upload session.
type UploadAssets struct {
	JWT    string // completion token; empty keeps the assets of the latest version with the new Config
	Config assets.Config
}

// Script is a worker by its name.
type Script struct {
	Account    string
	Name       string
	Tag        string // 32 hex digits, stays for the life of the script
	CreatedAt  time.Time
	ModifiedAt time.Time
	Settings   Settings
	Deployment *Deployment // the live one; nil when there is none
	Live       *Version    // the version that the live deployment serves; nil when there is none
	Latest     *Version    // the version uploaded last
	// MigrationTag is that of the last Durable Object migration, "" before the first.
	MigrationTag string
}

// Settings are what belongs to a script rather than to a version.
type Settings struct {
	WorkersDev    bool            `json:"workers_dev,omitempty"`
	Previews      bool            `json:"previews,omitempty"`
	Logpush       bool            `json:"logpush,omitempty"`
	Tags          []string        `json:"tags,omitempty"`
	Observability json.RawMessage `json:"observability,omitempty"`
	TailConsumers json.RawMessage `json:"tail_consumers,omitempty"`
	Egress        EgressPolicy    `json:"egress,omitzero"`
}

// SettingsPatch changes the fields that are not nil. A JSON null in
// Observability or TailConsumers removes the setting.
type SettingsPatch struct {
	Logpush       *bool
	Tags          *[]string
	Observability json.RawMessage
	TailConsumers json.RawMessage
}

// Module is one part of a stored version.
type Module struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Blob        string `json:"blob"`
	Size        int64  `json:"size"` // bytes
}

// Version is an immutable upload.
type Version struct {
	ID          string // UUID
	Number      int64  // 1, 2, … within the script
	Account     string
	Script      string
	CreatedAt   time.Time
	Origin      Origin
	Annotations map[string]string // with workers/triggered_by

	MainModule         string
	ServiceWorker      bool
	Modules            []Module
	Bindings           []json.RawMessage // the API's form; the text of secrets is left out
	CompatibilityDate  string
	CompatibilityFlags []string
	Limits             json.RawMessage
	Placement          json.RawMessage
	Handlers           []string // "fetch", "scheduled", …
	Etag               string   // 64 hex digits over the code
	StartupTime        time.Duration
	HasCode            bool
	HasAssets          bool
	AssetsConfig       assets.Config
}

// StrategyPercentage deploys versions by shares in percent.
const StrategyPercentage = "percentage"

// DeploymentVersion is the share of one version.
type DeploymentVersion struct {
	VersionID  string  `json:"version_id"`
	Percentage float64 `json:"percentage"`
}

// Deployment says which versions serve.
type Deployment struct {
	ID          string // UUID
	CreatedAt   time.Time
	Origin      Origin
	Strategy    string
	Annotations map[string]string
	Versions    []DeploymentVersion
}

// DeployRequest asks to serve other versions.
type DeployRequest struct {
	Strategy    string
	Versions    []DeploymentVersion
	Annotations map[string]string
	Force       bool // also when secrets changed since (10220)
	Origin      Origin
}

// Secret is the public side of a secret.
type Secret struct {
	Name string `json:"name"`
	Type string `json:"type"` // "secret_text"
}

// SecretPatch sets (Text not nil) or deletes (Text nil) the secret Name.
type SecretPatch struct {
	Name string
	Text *string
}

// LatestPatch makes a version from the latest one, without deploying it.
type LatestPatch struct {
	Env         []SecretPatch
	Annotations map[string]string
	Origin      Origin
}

// References lists what would break when a script is deleted.
type References struct {
	ServicesIncoming  []string
	DurableObjects    []string
	DispatchOutbounds []string
	Sites             []string // by a service binding, or one to its Durable Objects
}

// Empty reports whether nothing refers to the script.
func (r References) Empty() bool {
	return len(r.ServicesIncoming)+len(r.DurableObjects)+len(r.DispatchOutbounds)+len(r.Sites) == 0
}

// EgressPolicy says which addresses that are refused by default (private,
// loopback, link-local) a worker may reach.
type EgressPolicy struct {
	Allow []EgressRule `json:"allow,omitempty"`
}

// EgressRule allows the ports FromPort to ToPort of a network; both 0 means all ports.
type EgressRule struct {
	Prefix   netip.Prefix `json:"prefix"`
	FromPort uint16       `json:"from_port,omitempty"`
	ToPort   uint16       `json:"to_port,omitempty"`
}

// ManifestEntry is what wrangler says of one asset.
type ManifestEntry struct {
	Hash string `json:"hash"` // 32 hex digits, see [assets.Hash]
	Size int64  `json:"size"` // bytes
}

// AssetSession is the answer to a manifest: the buckets of hashes to upload
// with JWT, or none, and then JWT is the completion token.
type AssetSession struct {
	JWT     string
	Buckets [][]string
}

// InstanceInfo describes one process for the status display.
type InstanceInfo struct {
	Account   string
	Script    string
	Version   string
	PID       int
	RSS       int64         // bytes; 0 when it cannot be read
	CPU       time.Duration // since the process started
	InFlight  int64
	Requests  int64 // since the process started
	StartedAt time.Time
	Draining  bool
}
