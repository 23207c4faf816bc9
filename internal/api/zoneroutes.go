package api

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/accounts"
)

// zoneRoutes are the endpoints of zones, routes and custom domains. To claim a domain for the platform
// is the operator's; to put a worker on one that is there belongs to deploying.
func zoneRoutes() []route {
	const (
		read, write = accounts.ScopeWorkersRead, accounts.ScopeWorkersWrite
		zonePath    = "/zones/{zone}"
		routesPath  = zonePath + "/workers/routes"
	)
	table := []route{
		{Method: http.MethodGet, Pattern: "/zones", Scope: read, Handler: listZones},
		{Method: http.MethodPost, Pattern: "/zones", Scope: accounts.ScopeZonesWrite, MaxBody: smallBody, Handler: createZone},
		{Method: http.MethodGet, Pattern: zonePath, Scope: read, Handler: getZone},
		{Method: http.MethodDelete, Pattern: zonePath, Scope: accounts.ScopeZonesWrite, MaxBody: smallBody, Handler: deleteZone},
		{Method: http.MethodGet, Pattern: routesPath, Scope: read, Handler: listZoneRoutes},
		{Method: http.MethodPost, Pattern: routesPath, Scope: write, MaxBody: smallBody, Handler: createZoneRoute},
		{Method: http.MethodGet, Pattern: routesPath + "/{route}", Scope: read, Handler: getZoneRoute},
		{Method: http.MethodPut, Pattern: routesPath + "/{route}", Scope: write, MaxBody: smallBody, Handler: putZoneRoute},
		{Method: http.MethodDelete, Pattern: routesPath + "/{route}", Scope: write, MaxBody: smallBody, Handler: deleteZoneRoute},
		{Method: http.MethodGet, Pattern: scriptPath + "/routes", Scope: read, Handler: getScriptRoutes},
		{Method: http.MethodPut, Pattern: scriptPath + "/routes", Scope: write, MaxBody: jsonBody, Handler: putScriptRoutes},
		{Method: http.MethodPost, Pattern: scriptPath + "/domains/changeset", Scope: write, MaxBody: jsonBody, Handler: postDomainChanges},
		{Method: http.MethodPut, Pattern: scriptPath + "/domains/records", Scope: write, MaxBody: jsonBody, Handler: putDomains},
		{Method: http.MethodPut, Pattern: accountPath + "/workers/domains", Scope: write, MaxBody: smallBody, Handler: attachDomain},
	}
	// wrangler and the public API have two names for the same records.
	for _, path := range []string{accountPath + "/workers/domains", accountPath + "/workers/domains/records"} {
		table = append(
			table,
			route{Method: http.MethodGet, Pattern: path, Scope: read, Handler: listDomains},
			route{Method: http.MethodGet, Pattern: path + "/{domain}", Scope: read, Handler: getDomain},
			route{Method: http.MethodDelete, Pattern: path + "/{domain}", Scope: write, MaxBody: smallBody, Handler: deleteDomain},
		)
	}
	return table
}
