package api

import (
	"github.com/selvage-dev/selvage/internal/workers"
)

// home is the account that calls without one in their path are about.
func (c *call) home() string { return c.Accounts.Account().ID }

type zoneJSON struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Status      string        `json:"status"` // always "active": nothing has to be delegated to us
	Paused      bool          `json:"paused"`
	Type        string        `json:"type"`
	NameServers []string      `json:"name_servers"`
	Account     zoneOwnerJSON `json:"account"`
	CreatedOn   stamp         `json:"created_on"`
	ModifiedOn  stamp         `json:"modified_on"`
}

type zoneOwnerJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (c *call) zone(z workers.Zone) zoneJSON {
	a := c.Accounts.Account()
	return zoneJSON{
		ID: z.ID, Name: z.Name, Status: "active", Type: "full", NameServers: []string{},
		Account: zoneOwnerJSON{ID: a.ID, Name: a.Name}, CreatedOn: stamp(z.CreatedAt), ModifiedOn: stamp(z.CreatedAt),
	}
}

// listZones filters by name and account: wrangler asks for each parent of a host in turn.
func listZones(c *call) (any, error) {
	q := c.query()
	if id := q.Get("account.id"); id != "" && id != c.home() {
		return page(q, []zoneJSON{})
	}
	all, err := c.Workers.Zones(c.ctx(), c.home(), q.Get("name"))
	if err != nil {
		return nil, err
	}
	out := make([]zoneJSON, len(all))
	for i := range all {
		out[i] = c.zone(all[i])
	}
	return page(q, out)
}

func createZone(c *call) (any, error) {
	var in struct {
		Name    string `json:"name"`
		Account struct {
			ID string `json:"id"`
		} `json:"account"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Account.ID != "" && in.Account.ID != c.home() {
		return nil, errf(codeUnauthorized, "Unauthorized: the API token has no access to an account %q", in.Account.ID)
	}
	z, err := c.Workers.AddZone(c.ctx(), c.home(), in.Name)
	if err != nil {
		return nil, err
	}
	return c.zone(z), nil
}

func getZone(c *call) (any, error) {
	z, err := c.Workers.Zone(c.ctx(), c.home(), c.params["zone"])
	if err != nil {
		return nil, err
	}
	return c.zone(z), nil
}

type idJSON struct {
	ID string `json:"id"`
}

func deleteZone(c *call) (any, error) {
	return idJSON{ID: c.params["zone"]}, c.Workers.DeleteZone(c.ctx(), c.home(), c.params["zone"])
}

type zoneRouteJSON struct {
	ID       string `json:"id"`
	Pattern  string `json:"pattern"`
	Script   string `json:"script,omitempty"`
	ZoneID   string `json:"zone_id"`
	ZoneName string `json:"zone_name"`
}

func newZoneRoutesJSON(all []workers.ZoneRoute) []zoneRouteJSON {
	out := make([]zoneRouteJSON, len(all))
	for i, r := range all {
		out[i] = zoneRouteJSON{ID: r.ID, Pattern: r.Pattern, Script: r.Script, ZoneID: r.ZoneID, ZoneName: r.ZoneName}
	}
	return out
}

func oneRoute(r workers.ZoneRoute, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return newZoneRoutesJSON([]workers.ZoneRoute{r})[0], nil
}

// listZoneRoutes answers with all routes: wrangler reads no second page.
func listZoneRoutes(c *call) (any, error) {
	all, err := c.Workers.ZoneRoutes(c.ctx(), c.home(), c.params["zone"])
	return newZoneRoutesJSON(all), err
}

func getZoneRoute(c *call) (any, error) {
	return oneRoute(c.Workers.ZoneRoute(c.ctx(), c.home(), c.params["zone"], c.params["route"]))
}

type zoneRouteRequestJSON struct {
	Pattern string `json:"pattern"`
	Script  string `json:"script"`
}

func createZoneRoute(c *call) (any, error) {
	var in zoneRouteRequestJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return oneRoute(c.Workers.AddZoneRoute(c.ctx(), c.home(), c.params["zone"], in.Pattern, in.Script))
}

func putZoneRoute(c *call) (any, error) {
	var in zoneRouteRequestJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return oneRoute(c.Workers.SetZoneRoute(c.ctx(), c.home(), c.params["zone"], c.params["route"], in.Pattern, in.Script))
}

func deleteZoneRoute(c *call) (any, error) {
	return idJSON{ID: c.params["route"]}, c.Workers.DeleteZoneRoute(c.ctx(), c.home(), c.params["zone"], c.params["route"])
}

func getScriptRoutes(c *call) (any, error) {
	all, err := c.Workers.ScriptRoutes(c.ctx(), c.account(), c.script())
	return newZoneRoutesJSON(all), err
}

// putScriptRoutes replaces the routes of a worker. Its errors are never 10000: on that wrangler tries
// again zone by zone, which would fail the same way.
func putScriptRoutes(c *call) (any, error) {
	var in []struct {
		Pattern  string `json:"pattern"`
		ZoneID   string `json:"zone_id"`
		ZoneName string `json:"zone_name"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	reqs := make([]workers.RouteRequest, len(in))
	for i, r := range in {
		reqs[i] = workers.RouteRequest{Pattern: r.Pattern, Zone: workers.ZoneRef{ID: r.ZoneID, Name: r.ZoneName}}
	}
	all, err := c.Workers.PutScriptRoutes(c.ctx(), c.account(), c.script(), reqs)
	return newZoneRoutesJSON(all), err
}
