package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) zone() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "zone",
		Short: "Domains of your own, on which workers answer by routes",
		Long: `A zone is a domain of your own: workers answer on its hosts by the routes and
custom domains of their wrangler.jsonc. The names must resolve to this platform;
that is not selvage's to arrange.`,
		Example: `  selvage zone add example.com
  selvage zone list
  selvage zone show example.com
  selvage zone delete example.com --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.zoneAdd(), a.zoneList(), a.zoneShow(), a.zoneDelete())
	return cmd
}

func (a *app) zoneAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add DOMAIN",
		Short:   "Make a domain a zone",
		Example: "  selvage zone add example.com",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				z, err := c.AddZone(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(z)
				} else {
					a.printf("%s is a zone (%s)\n", printable(z.Name), z.ID)
				}
				if err != nil {
					return err
				}
				return a.noteTaken(ctx, c, z.Name)
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) zoneList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the zones",
		Example: "  selvage zone list\n  selvage zone list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				zones, err := c.Zones(ctx, "")
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(zones)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ZONE\tID\tADDED") //nolint:errcheck // Flush tells
				for _, z := range zones {
					fmt.Fprintf(w, "%s\t%s\t%s\n", printable(z.Name), z.ID, day(&z.CreatedOn)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// zoneContents is a zone and what would go with it.
type zoneContents struct {
	client.Zone

	Routes  []client.ZoneRoute    `json:"routes"`
	Domains []client.DomainRecord `json:"domains"`
}

func readZone(ctx context.Context, c *client.Client, name string) (zoneContents, error) {
	var out zoneContents
	zones, err := c.Zones(ctx, strings.TrimSuffix(strings.ToLower(name), "."))
	if err != nil {
		return out, err
	}
	if len(zones) == 0 {
		return out, fmt.Errorf("there is no zone %q; \"selvage zone list\" shows those there are", name)
	}
	out.Zone = zones[0]
	if out.Routes, err = c.ZoneRoutes(ctx, out.ID); err != nil {
		return out, err
	}
	out.Domains, err = c.Domains(ctx, out.ID)
	return out, err
}

func (a *app) zoneShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show DOMAIN",
		Short:   "Show the routes and custom domains of a zone",
		Example: "  selvage zone show example.com\n  selvage zone show example.com --json",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				z, err := readZone(ctx, c, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(z)
				}
				return a.printZone(z)
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) printZone(z zoneContents) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tPATTERN\tWORKER") //nolint:errcheck // Flush tells
	for _, r := range z.Routes {
		worker := printable(r.Script)
		if r.Script == "" {
			worker = "(none)"
		}
		fmt.Fprintf(w, "route\t%s\t%s\n", printable(r.Pattern), worker) //nolint:errcheck // Flush tells
	}
	for _, d := range z.Domains {
		off := ""
		if !d.Enabled {
			off = " (disabled)"
		}
		fmt.Fprintf(w, "domain\t%s\t%s%s\n", printable(d.Hostname), printable(d.Service), off) //nolint:errcheck // Flush tells
	}
	return w.Flush()
}

func (a *app) zoneDelete() *cobra.Command {
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "delete DOMAIN",
		Short: "Delete a zone with its routes and custom domains",
		Long: `Deletes a zone with its routes and custom domains; the workers stay. --dry-run
shows what would go and changes nothing.`,
		Example: "  selvage zone delete example.com --dry-run\n  selvage zone delete example.com --yes",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				z, err := readZone(ctx, c, args[0])
				if err != nil {
					return err
				}
				if dry {
					a.note("would delete the zone %s with %d routes and %d custom domains", printable(z.Name), len(z.Routes), len(z.Domains))
					return a.printZone(z)
				}
				if !yes && !a.confirm(fmt.Sprintf("Delete the zone %s with %d routes and %d custom domains?", printable(z.Name), len(z.Routes), len(z.Domains))) {
					return errors.New("nothing was deleted; say --yes to delete without a question")
				}
				if err := c.DeleteZone(ctx, z.ID); err != nil {
					return err
				}
				a.note("deleted the zone %s", printable(z.Name))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be deleted")
	return cmd
}
