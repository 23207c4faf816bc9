package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) deployments() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deployments",
		Short:   "Show which versions of a worker serve, and served",
		Example: "  selvage deployments status\n  selvage deployments list --name links",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(a.deploymentsShow("list", "List the deployments of a worker, the live one first", false),
		a.deploymentsShow("status", "Show the live deployment of a worker", true))
	return cmd
}

// deploymentsShow is one command over the list; only the live one matters to status.
func (a *app) deploymentsShow(name, short string, live bool) *cobra.Command { //nolint:revive // two commands of one shape
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use: name, Short: short,
		Example: "  selvage deployments " + name + "\n  selvage deployments " + name + " --name links --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				list, err := c.Deployments(ctx, worker)
				if err != nil {
					return err
				}
				if live {
					if len(list) == 0 {
						return fmt.Errorf("no version of %s is live; \"selvage versions deploy\" makes one so", worker)
					}
					if a.json {
						return a.printJSON(list[0])
					}
					list = list[:1]
				}
				if a.json {
					return a.printJSON(list)
				}
				return a.deploymentTable(list)
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) deploymentTable(list []client.Deployment) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CREATED\tBY\tSOURCE\tVERSIONS\tMESSAGE") //nolint:errcheck // Flush tells
	for _, d := range list {
		var shares []string
		for _, v := range d.Versions {
			shares = append(shares, fmt.Sprintf("%s@%g", v.VersionID, v.Percentage))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", day(&d.CreatedOn), printable(d.AuthorEmail), printable(d.Source), //nolint:errcheck // Flush tells
			strings.Join(shares, " "), printable(clip(d.Annotations[client.AnnotationMessage])))
	}
	return w.Flush()
}
