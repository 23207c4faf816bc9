package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/client"
)

// takenFrom returns the routes and custom domains that a zone takes hosts from: those
// of the zone that it lies in, if there is one.
func takenFrom(ctx context.Context, c *client.Client, name string) (outer string, list []string, err error) {
	zones, err := c.Zones(ctx, "")
	if err != nil {
		return "", nil, err
	}
	var id string
	for _, z := range zones {
		if strings.HasSuffix(name, "."+z.Name) && len(z.Name) > len(outer) {
			outer, id = z.Name, z.ID
		}
	}
	if id == "" {
		return "", nil, nil
	}
	routes, err := c.ZoneRoutes(ctx, id)
	if err != nil {
		return "", nil, err
	}
	for _, r := range routes {
		if patternReaches(r.Pattern, name) {
			list = append(list, r.Pattern)
		}
	}
	domains, err := c.Domains(ctx, id)
	if err != nil {
		return "", nil, err
	}
	for _, d := range domains {
		if inZone(d.Hostname, name) {
			list = append(list, d.Hostname)
		}
	}
	slices.Sort(list)
	return outer, list, nil
}

func inZone(host, zone string) bool { return host == zone || strings.HasSuffix(host, "."+zone) }

// patternReaches reports whether a route pattern names hosts of a zone.
func patternReaches(pattern, zone string) bool {
	if _, rest, ok := strings.Cut(pattern, "://"); ok {
		pattern = rest
	}
	host, _, _ := strings.Cut(pattern, "/")
	host = strings.ToLower(host)
	base, wild := strings.CutPrefix(host, "*")
	if !wild {
		return inZone(host, zone)
	}
	// "*.a.b" and "*a.b": the zone's names end so, or the pattern's are all in the zone.
	return strings.HasSuffix("."+zone, base) || inZone(strings.TrimPrefix(base, "."), zone)
}

// noteTaken tells the one who adds a zone whose hosts it takes.
func (a *app) noteTaken(ctx context.Context, c *client.Client, name string) error {
	outer, list, err := takenFrom(ctx, c, name)
	if err != nil {
		return fmt.Errorf("%s is a zone, but what it takes from others cannot be read: %w", name, err)
	}
	if len(list) > 0 {
		a.warn(fmt.Sprintf("%[1]s lies in the zone %[2]s, of which these no longer count on hosts in %[1]s: %[3]s. Deploy their workers with routes on %[1]s, or delete it again.", name, outer, strings.Join(list, ", ")))
	}
	return nil
}
