package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/workers"
)

// anyToken as a route's scope means that any valid token will do.
const anyToken accounts.Scope = ""

// handler answers one call with a result for the envelope (or a [stream]) or an error.
type handler func(c *call) (result any, err error)

// route is one endpoint.
type route struct {
	Method string
	// Pattern is the path; {name} stands for one segment.
	Pattern string
	// Opaque names the wildcard whose value may be anything, because the handler checks it.
	Opaque string
	// Scope is what the caller's token must allow; see [anyToken].
	Scope accounts.Scope
	// Also is another scope that will do, "" for none.
	Also accounts.Scope
	// Ticket is the action of the signed ticket that the route takes in place of a token, "" for none.
	Ticket string
	// BadTicket is the code of the error for a ticket that will not do, 0 for the usual.
	BadTicket int
	// InQuery says that the ticket is the query's "ticket", for URLs that others call as they are.
	InQuery bool
	// Basic says that the token may also come as the password of Basic authentication, which is what
	// git asks its user for.
	Basic bool
	// OpenAI says that errors have the form of OpenAI's API, whose clients call the route.
	OpenAI bool
	// Open lets anyone call; with ByAddress only those who call by address (see askedByAddress), others
	// need a token.
	Open, ByAddress bool
	// Secret says that the handler itself checks a secret in the query: of a WebSocket, whose clients
	// cannot show a token.
	Secret bool
	// MaxBody bounds the request's body in bytes.
	MaxBody int64
	// TooLarge is the code of the error for a larger one, 0 for the usual.
	TooLarge int
	Handler  handler
}

// Bounds of bodies in bytes.
const (
	noBody    = 0
	smallBody = 64 << 10
	// A bulk of secrets must fit into jsonBody.
	jsonBody = 8 << 20
	// A manifest of 100,000 assets with long paths must fit into manifestBody.
	manifestBody = 64 << 20
	// The boundaries, part headers and metadata of a form add at most formOverhead to its contents.
	formOverhead = 16 << 20
)

// routes is the table of every endpoint.
func (s *server) routes() []route {
	table := []route{
		{Method: http.MethodGet, Pattern: "/healthz", Open: true, Handler: getHealth},
		{Method: http.MethodGet, Pattern: "/readyz", Open: true, Handler: getReady},
		{Method: http.MethodGet, Pattern: "/metrics", Scope: accounts.ScopePlatformRead, Open: s.OpenMetrics, ByAddress: true, Handler: getMetrics},
	}
	table = append(table, s.gitRoutes()...)
	for _, family := range [][]route{
		accountRoutes(), s.scriptRoutes(), s.assetRoutes(), versionRoutes(), settingRoutes(), triggerRoutes(), zoneRoutes(), cleanupRoutes(), kvRoutes(), d1Routes(), d1TransferRoutes(), d1TravelRoutes(), selvageRoutes(),
		objectRoutes(), d1InsightRoutes(), s.pagesRoutes(), pagesTailRoutes(), pagesDomainRoutes(),
		s.buildRoutes(),
		aiRoutes(), openAIRoutes(), aiModelRoutes(), aiUsageRoutes(),
		vectorizeRoutes(), registryRoutes(),
	} {
		for _, rt := range family {
			rt.Pattern = "/client/v4" + rt.Pattern
			table = append(table, rt)
		}
	}
	return table
}

const (
	accountPath = "/accounts/{account}"
	scriptPath  = accountPath + "/workers/scripts/{script}"
	servicePath = accountPath + "/workers/services/{script}"
	workerPath  = accountPath + "/workers/workers/{script}"
	ownPath     = accountPath + "/selvage"
)

func accountRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: "/user", Scope: accounts.ScopeAccountRead, Handler: getUser},
		{Method: http.MethodGet, Pattern: "/user/tokens/verify", Scope: anyToken, Handler: verifyToken},
		{Method: http.MethodGet, Pattern: accountPath + "/tokens/verify", Scope: anyToken, Handler: verifyToken},
		{Method: http.MethodGet, Pattern: "/accounts", Scope: accounts.ScopeAccountRead, Handler: listAccounts},
		{Method: http.MethodGet, Pattern: accountPath, Scope: accounts.ScopeAccountRead, Handler: getAccount},
		{Method: http.MethodGet, Pattern: "/memberships", Scope: accounts.ScopeAccountRead, Handler: listMemberships},
	}
}

func (s *server) scriptRoutes() []route {
	upload := s.MaxScriptSize + s.MaxSourceMaps + formOverhead
	return []route{
		{Method: http.MethodGet, Pattern: servicePath, Scope: accounts.ScopeWorkersRead, Handler: getService},
		{Method: http.MethodDelete, Pattern: servicePath, Scope: accounts.ScopeWorkersWrite, Handler: deleteScript},
		{Method: http.MethodGet, Pattern: servicePath + "/environments/{environment}/content/v2", Scope: accounts.ScopeWorkersRead, Handler: getContent},
		{Method: http.MethodGet, Pattern: accountPath + "/workers/scripts", Scope: accounts.ScopeWorkersRead, Handler: listScripts},
		{Method: http.MethodPut, Pattern: scriptPath, Scope: accounts.ScopeWorkersWrite, MaxBody: upload, TooLarge: codeScriptTooLarge, Handler: putScript},
		{Method: http.MethodGet, Pattern: scriptPath, Scope: accounts.ScopeWorkersRead, Handler: getContent},
		{Method: http.MethodDelete, Pattern: scriptPath, Scope: accounts.ScopeWorkersWrite, Handler: deleteScript},
		{Method: http.MethodGet, Pattern: scriptPath + "/content", Scope: accounts.ScopeWorkersRead, Handler: getContent},
		{Method: http.MethodGet, Pattern: scriptPath + "/content/v2", Scope: accounts.ScopeWorkersRead, Handler: getContent},
		{Method: http.MethodGet, Pattern: scriptPath + "/references", Scope: accounts.ScopeWorkersRead, Handler: getReferences},
		{Method: http.MethodGet, Pattern: workerPath, Scope: accounts.ScopeWorkersRead, Handler: getWorker},
		{Method: http.MethodPost, Pattern: scriptPath + "/versions", Scope: accounts.ScopeWorkersWrite, MaxBody: upload, TooLarge: codeScriptTooLarge, Handler: createVersion},
	}
}

func (s *server) assetRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: scriptPath + "/assets-upload-session", Scope: accounts.ScopeWorkersWrite, MaxBody: manifestBody, Handler: startAssetSession},
		{Method: http.MethodPost, Pattern: accountPath + "/workers/assets/upload", Ticket: workers.ActionAssetUpload, MaxBody: s.MaxAssetUpload, Handler: uploadAssets},
		{Method: http.MethodPost, Pattern: accountPath + "/workers/assets/upload/{hash}", Ticket: workers.ActionAssetUpload, MaxBody: s.MaxAssetUpload, Handler: uploadAsset},
	}
}

func versionRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: scriptPath + "/versions", Scope: accounts.ScopeWorkersRead, Handler: listVersions},
		{Method: http.MethodGet, Pattern: scriptPath + "/versions/{version}", Scope: accounts.ScopeWorkersRead, Handler: getVersion},
		{Method: http.MethodPatch, Pattern: workerPath + "/versions/latest", Scope: accounts.ScopeWorkersWrite, MaxBody: jsonBody, Handler: patchLatest},
		{Method: http.MethodGet, Pattern: scriptPath + "/deployments", Scope: accounts.ScopeWorkersRead, Handler: listDeployments},
		{Method: http.MethodPost, Pattern: scriptPath + "/deployments", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: createDeployment},
	}
}

func settingRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: scriptPath + "/settings", Scope: accounts.ScopeWorkersRead, Handler: getSettings},
		{Method: http.MethodGet, Pattern: scriptPath + "/script-settings", Scope: accounts.ScopeWorkersRead, Handler: getScriptSettings},
		{Method: http.MethodPatch, Pattern: scriptPath + "/script-settings", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: patchScriptSettings},
		{Method: http.MethodGet, Pattern: scriptPath + "/secrets", Scope: accounts.ScopeWorkersRead, Handler: listSecrets},
		{Method: http.MethodPut, Pattern: scriptPath + "/secrets", Scope: accounts.ScopeWorkersWrite, MaxBody: jsonBody, Handler: putSecret},
		{Method: http.MethodGet, Pattern: scriptPath + "/secrets/{secret}", Scope: accounts.ScopeWorkersRead, Handler: getSecret},
		{Method: http.MethodDelete, Pattern: scriptPath + "/secrets/{secret}", Scope: accounts.ScopeWorkersWrite, Handler: deleteSecret},
		{Method: http.MethodPatch, Pattern: scriptPath + "/secrets-bulk", Scope: accounts.ScopeWorkersWrite, MaxBody: jsonBody, Handler: patchSecrets},
		{Method: http.MethodGet, Pattern: accountPath + "/workers/subdomain", Scope: accounts.ScopeWorkersRead, Handler: getAccountSubdomain},
		{Method: http.MethodPut, Pattern: accountPath + "/workers/subdomain", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: putAccountSubdomain},
		{Method: http.MethodGet, Pattern: accountPath + "/workers/subdomains/{subdomain}", Scope: accounts.ScopeWorkersRead, Handler: probeSubdomain},
		{Method: http.MethodGet, Pattern: scriptPath + "/subdomain", Scope: accounts.ScopeWorkersRead, Handler: getScriptSubdomain},
		{Method: http.MethodPost, Pattern: scriptPath + "/subdomain", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: postScriptSubdomain},
	}
}

func triggerRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: scriptPath + "/tails", Scope: accounts.ScopeLogsRead, MaxBody: smallBody, Handler: createTail},
		{Method: http.MethodDelete, Pattern: scriptPath + "/tails/{tail}", Scope: accounts.ScopeLogsRead, Handler: deleteTail},
		{Method: http.MethodGet, Pattern: scriptPath + "/tails/{tail}/events", Secret: true, Handler: readTail},
		{Method: http.MethodGet, Pattern: scriptPath + "/schedules", Scope: accounts.ScopeWorkersRead, Handler: getSchedules},
		{Method: http.MethodPut, Pattern: scriptPath + "/schedules", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: putSchedules},
	}
}

// cleanupRoutes are lists that wrangler reads before or after it deletes a script. What they would
// list is not offered yet, so there is none of it, and saying so lets the command go on.
func cleanupRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: accountPath + "/workers/tails/by-consumer/{script}", Scope: accounts.ScopeWorkersRead, Handler: listTailProducers},
	}
}

func selvageRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: ownPath + "/version", Scope: anyToken, Handler: getBuild},
		{Method: http.MethodGet, Pattern: ownPath + "/status", Scope: accounts.ScopePlatformRead, Handler: getStatus},
		{Method: http.MethodGet, Pattern: ownPath + "/logs", Scope: accounts.ScopeLogsRead, Handler: getLogs},
		{Method: http.MethodGet, Pattern: ownPath + "/tokens", Scope: accounts.ScopeTokensRead, Handler: listTokens},
		{Method: http.MethodPost, Pattern: ownPath + "/tokens", Scope: accounts.ScopeTokensWrite, MaxBody: smallBody, Handler: createToken},
		{Method: http.MethodPost, Pattern: ownPath + "/tokens/{token}/roll", Scope: accounts.ScopeTokensWrite, MaxBody: smallBody, Handler: rollToken},
		{Method: http.MethodDelete, Pattern: ownPath + "/tokens/{token}", Scope: accounts.ScopeTokensWrite, MaxBody: smallBody, Handler: revokeToken},
		{Method: http.MethodPost, Pattern: ownPath + "/workers/{script}/tail", Scope: accounts.ScopeLogsRead, MaxBody: smallBody, Handler: followTail},
		{Method: http.MethodPost, Pattern: ownPath + "/workers/{script}/scheduled", Scope: accounts.ScopeWorkersWrite, MaxBody: smallBody, Handler: postScheduled},
		{Method: http.MethodGet, Pattern: ownPath + "/workers/{script}/egress", Scope: accounts.ScopeWorkersRead, Handler: getEgress},
		// What a worker may reach inside the operator's network is the operator's to say, not that of
		// everyone who may deploy.
		{Method: http.MethodPut, Pattern: ownPath + "/workers/{script}/egress", Scope: accounts.ScopeAll, MaxBody: jsonBody, Handler: putEgress},
	}
}
