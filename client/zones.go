package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Zone is a domain of the operator's own.
type Zone struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedOn time.Time `json:"created_on"`
}

// Zones lists the zones, or with a name only that one.
func (c *Client) Zones(ctx context.Context, name string) ([]Zone, error) {
	return pages[Zone](ctx, c, "/zones", url.Values{"name": {name}})
}

// AddZone makes a zone.
func (c *Client) AddZone(ctx context.Context, name string) (Zone, error) {
	return result[Zone](ctx, c, http.MethodPost, "/zones", nil, map[string]string{"name": name})
}

// DeleteZone deletes a zone with its routes and custom domains.
func (c *Client) DeleteZone(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, join([]string{"zones", id}), nil, nil, nil)
}

// ZoneRoute puts a worker on the URLs that a pattern matches.
type ZoneRoute struct {
	ID       string `json:"id"`
	Pattern  string `json:"pattern"`
	Script   string `json:"script"` // "": no worker
	ZoneID   string `json:"zone_id"`
	ZoneName string `json:"zone_name"`
}

// ZoneRoutes lists the routes of a zone.
func (c *Client) ZoneRoutes(ctx context.Context, zone string) ([]ZoneRoute, error) {
	return result[[]ZoneRoute](ctx, c, http.MethodGet, join([]string{"zones", zone, "workers", "routes"}), nil, nil)
}

// AddZoneRoute makes a route; with script "" no worker answers there.
func (c *Client) AddZoneRoute(ctx context.Context, zone, pattern, script string) (ZoneRoute, error) {
	in := map[string]string{"pattern": pattern, "script": script}
	return result[ZoneRoute](ctx, c, http.MethodPost, join([]string{"zones", zone, "workers", "routes"}), nil, in)
}

// DeleteZoneRoute deletes a route.
func (c *Client) DeleteZoneRoute(ctx context.Context, zone, id string) error {
	return c.call(ctx, http.MethodDelete, join([]string{"zones", zone, "workers", "routes", id}), nil, nil, nil)
}

// Domains lists the custom domains of the account, or with a zone's id only its.
func (c *Client) Domains(ctx context.Context, zone string) ([]DomainRecord, error) {
	return pages[DomainRecord](ctx, c, c.path("workers", "domains"), url.Values{"zone_id": {zone}})
}

// pages reads a list page by page until one is not full.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	const size = 1000
	all := []T{}
	for n := 1; ; n++ {
		q.Set("page", strconv.Itoa(n))
		q.Set("per_page", strconv.Itoa(size))
		one, err := result[[]T](ctx, c, http.MethodGet, path, q, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
		if len(one) < size {
			return all, nil
		}
	}
}
