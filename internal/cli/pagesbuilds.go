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

func (a *app) pagesBuilds() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builds",
		Short: "List, follow and cancel builds of what was pushed with git",
		Long: `Works on the builds that a git push to a site makes. A build is named by its id, or
by the first digits of it.`,
		Example: `  selvage pages builds list docs
  selvage pages builds logs docs 3f2a
  selvage pages builds cancel docs 3f2a`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.pagesBuildsList(), a.pagesBuildsLogs(), a.pagesBuildsCancel())
	return cmd
}

func (a *app) pagesBuildsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list PROJECT",
		Short:   "List the latest builds of a site, the newest first",
		Example: "  selvage pages builds list docs\n  selvage pages builds list docs --json",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.PagesBuilds(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tBRANCH\tCOMMIT\tSTATUS\tCREATED\tMESSAGE") //nolint:errcheck // Flush tells
				for i := range all {
					b := &all[i]
					message, _, _ := strings.Cut(b.Message, "\n")
					fmt.Fprintf(w, "%s\t%s\t%.8s\t%s\t%s\t%.60s\n", b.ID, printable(b.Branch), b.Commit, b.Status, day(&b.CreatedOn), printable(message)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesBuildsLogs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs PROJECT [BUILD]",
		Short: "Show the log of a build, and follow it while it runs",
		Long:  "Shows the log of a build, of the newest one without its id. While the build runs, lines are shown as they come.",
		Example: `  selvage pages builds logs docs
  selvage pages builds logs docs 3f2a --json`,
		Args: cobra.RangeArgs(1, 2), //nolint:mnd // a project and a build
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onBuild(cmd.Context(), args, func(ctx context.Context, c *client.Client, b *client.PagesBuild) error {
				return c.PagesBuildLog(ctx, b.Project, b.ID, func(l client.PagesBuildLine) bool {
					if a.json {
						return a.printJSON(l) == nil
					}
					a.printf("%s  %s\n", l.Time.Local().Format("15:04:05"), printable(l.Line))
					return true
				})
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesBuildsCancel() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "cancel PROJECT BUILD",
		Short: "End a build that is queued or runs",
		Long:  "Ends a build and all of its processes. What is deployed stays as it is; the next push builds again.",
		Example: `  selvage pages builds cancel docs 3f2a
  selvage pages builds cancel docs 3f2a --dry-run`,
		Args: cobra.ExactArgs(2), //nolint:mnd // a project and a build
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onBuild(cmd.Context(), args, func(ctx context.Context, c *client.Client, b *client.PagesBuild) error {
				if dry {
					a.printf("would cancel the build %s of %s (%s, branch %s)\nnothing was canceled (--dry-run)\n", b.ID, b.Project, b.Status, printable(b.Branch))
					return nil
				}
				done, err := c.CancelPagesBuild(ctx, b.Project, b.ID)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(done)
				}
				a.printf("build %s: %s\n", done.ID, done.Status)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be canceled")
	return cmd
}

// onBuild gives fn the build of a project that an id, or its beginning, names; the
// newest one without. A log may last, so only the user's patience bounds it.
func (a *app) onBuild(ctx context.Context, args []string, fn func(ctx context.Context, c *client.Client, b *client.PagesBuild) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.PagesBuilds(ctx, args[0])
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("nothing was pushed to the site %s yet", printable(args[0]))
	}
	if len(args) == 1 {
		return fn(ctx, c, &all[0])
	}
	var found []*client.PagesBuild
	for i := range all {
		if args[1] != "" && strings.HasPrefix(all[i].ID, args[1]) {
			found = append(found, &all[i])
		}
	}
	switch len(found) {
	case 1:
		return fn(ctx, c, found[0])
	case 0:
		return fmt.Errorf("the site %s has no build %s among its latest; \"selvage pages builds list %s\" shows them", printable(args[0]), printable(args[1]), printable(args[0]))
	}
	return errors.New("several builds begin so; give more digits")
}
