package api

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Accounts is what the door needs of the accounts service.
type Accounts interface {
	Account() accounts.Account
	Authenticate(ctx context.Context, bearer string) (accounts.Token, error)
	Tickets
	SetSubdomain(ctx context.Context, name string) error
	CreateToken(ctx context.Context, name string, scopes []accounts.Scope, expires *time.Time) (secret string, t accounts.Token, err error)
	ListTokens(ctx context.Context) ([]accounts.Token, error)
	RollToken(ctx context.Context, id string) (secret string, t accounts.Token, err error)
	RevokeToken(ctx context.Context, id string) error
}

// Tickets lets one call in without a token.
type Tickets interface {
	VerifyTicket(token, action string) (accounts.Ticket, error)
	IssueTicket(t accounts.Ticket) string
}

// Workers is what the door needs of the workers service.
type Workers interface {
	Uploads
	Versions
	Scripts
	Secrets
	Hosts
	Schedules
	Instances() []workers.InstanceInfo
	// LiveBindings says which scripts' deployed versions bind a resource, and which sites' serving code.
	LiveBindings(ctx context.Context, account, bindingType, id string) (scripts, sites []string, err error)
}

// Uploads takes the parts of a version: modules and assets.
type Uploads interface {
	PutModule(ctx context.Context, r io.Reader) (blob string, size int64, err error)
	OpenModule(m workers.Module) (*os.File, error)
	CreateAssetSession(ctx context.Context, account, script string, manifest map[string]workers.ManifestEntry) (workers.AssetSession, error)
	UploadAsset(ctx context.Context, account, token, hash, contentType string, body io.Reader, isBase64 bool) (completion string, err error)
}

// Versions makes versions and says which of them serve.
type Versions interface {
	PutScript(ctx context.Context, account, script string, u *workers.Upload) (workers.Deployed, error)
	CreateVersion(ctx context.Context, account, script string, u *workers.Upload) (workers.Version, error)
	Versions(ctx context.Context, account, script string, offset, limit int) ([]workers.Version, error)
	Version(ctx context.Context, account, script, id string) (workers.Version, error)
	Deploy(ctx context.Context, account, script string, d workers.DeployRequest) (workers.Deployment, error)
	Deployments(ctx context.Context, account, script string, limit int) ([]workers.Deployment, error)
}

// Scripts reads, changes and deletes scripts.
type Scripts interface {
	Objects
	Script(ctx context.Context, account, script string) (workers.Script, error)
	Scripts(ctx context.Context, account string) ([]workers.Script, error)
	DeleteScript(ctx context.Context, account, script string, force bool) error
	References(ctx context.Context, account, script string) (workers.References, error)
	PatchSettings(ctx context.Context, account, script string, p workers.SettingsPatch) (workers.Settings, error)
	SetSubdomain(ctx context.Context, account, script string, enabled bool, previews *bool) (workers.Settings, error)
	SetEgress(ctx context.Context, account, script string, p workers.EgressPolicy) error
}

// Secrets changes secrets, which makes versions.
type Secrets interface {
	Secrets(ctx context.Context, account, script string) ([]workers.Secret, error)
	PutSecret(ctx context.Context, account, script, secret, text string, by workers.Origin) (workers.Secret, error)
	DeleteSecret(ctx context.Context, account, script, secret string, by workers.Origin) error
	PatchSecrets(ctx context.Context, account, script string, patch []workers.SecretPatch, by workers.Origin) ([]workers.Secret, error)
	PatchLatestVersion(ctx context.Context, account, script string, p workers.LatestPatch) (workers.Version, error)
}

// Hosts knows where scripts answer.
type Hosts interface {
	Hostname(account, script string) string
	PreviewSuffix(account, script string) string
	// ForgetHosts makes a new subdomain count.
	ForgetHosts()
	Zones
	Routes
	CustomDomains
}

// Zones keeps the domains of the operator's own.
type Zones interface {
	AddZone(ctx context.Context, account, name string) (workers.Zone, error)
	Zones(ctx context.Context, account, name string) ([]workers.Zone, error)
	Zone(ctx context.Context, account, id string) (workers.Zone, error)
	DeleteZone(ctx context.Context, account, id string) error
}

// Routes says which workers answer which URLs of zones.
type Routes interface {
	ZoneRoutes(ctx context.Context, account, zone string) ([]workers.ZoneRoute, error)
	ZoneRoute(ctx context.Context, account, zone, id string) (workers.ZoneRoute, error)
	AddZoneRoute(ctx context.Context, account, zone, pattern, script string) (workers.ZoneRoute, error)
	SetZoneRoute(ctx context.Context, account, zone, id, pattern, script string) (workers.ZoneRoute, error)
	DeleteZoneRoute(ctx context.Context, account, zone, id string) error
	ScriptRoutes(ctx context.Context, account, script string) ([]workers.ZoneRoute, error)
	PutScriptRoutes(ctx context.Context, account, script string, reqs []workers.RouteRequest) ([]workers.ZoneRoute, error)
}

// CustomDomains says which workers have whole hosts of zones.
type CustomDomains interface {
	Domains(ctx context.Context, account string, f workers.DomainFilter) ([]workers.CustomDomain, error)
	Domain(ctx context.Context, account, id string) (workers.CustomDomain, error)
	DeleteDomain(ctx context.Context, account, id string) error
	DomainChanges(ctx context.Context, account, script string, reqs []workers.DomainRequest, replace bool) (workers.DomainChanges, error)
	PutDomains(ctx context.Context, account, script string, reqs []workers.DomainRequest, o workers.DomainOptions) ([]workers.CustomDomain, error)
}

// Logs is what the door needs of the event log.
type Logs interface {
	Query(ctx context.Context, f telemetry.Filter, yield func(telemetry.Event) bool) error
	Follow(ctx context.Context, f telemetry.Filter, yield func(telemetry.Event) bool) error
}

// Objects lists Durable Object namespaces and what is in them.
type Objects interface {
	ObjectNamespace(ctx context.Context, account, id string) (workers.Namespace, error)
	ObjectNamespaces(ctx context.Context, account string, offset, limit int) (page []workers.Namespace, total int, err error)
	Objects(ctx context.Context, account, namespace, after string, limit int) (ids []string, more bool, err error)
}
