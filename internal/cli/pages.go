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

func (a *app) pages() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pages",
		Short: "Deploy sites, and say which of their deployments serve",
		Long: `Works on Pages projects: a folder of files, with Functions if it has any, that
becomes a site. Each deployment has an address of its own, each branch one that
leads to its latest, and production the one that visitors know.`,
		Example: `  selvage pages create docs
  selvage pages deploy dist --project docs
  selvage pages rollback docs`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(
		a.pagesCreate(), a.pagesList(), a.pagesDeployCommand(), a.pagesDeployments(), a.pagesPromote(), a.pagesRollback(),
		a.pagesLogs(), a.pagesTail(), a.pagesOpen(), a.pagesDelete(), a.pagesSecret(), a.pagesBuilds(), a.pagesPack(),
	)
	return cmd
}

// pagesOn calls fn with a client for an account, and makes its errors plain.
func (a *app) pagesOn(ctx context.Context, fn func(context.Context, *client.Client) error) error {
	return a.call(ctx, func(ctx context.Context, c *client.Client) error {
		c, err := settleAccount(ctx, c)
		if err != nil {
			return err
		}
		return plainPages(fn(ctx, c))
	})
}

func plainPages(err error) error {
	if client.HasCode(err, client.CodePagesProjectNotFound) {
		return errors.New("there is no such project; \"selvage pages list\" shows those there are, \"selvage pages create\" makes one")
	}
	return plainError(err, "")
}

func (a *app) pagesCreate() *cobra.Command {
	var branch string
	var date string
	cmd := &cobra.Command{
		Use:   "create PROJECT",
		Short: "Make a project",
		Example: `  selvage pages create docs
  selvage pages create docs --production-branch trunk --compatibility-date 2026-11-01`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				config := map[string]any{}
				if date != "" {
					config["compatibility_date"] = date
				}
				p, err := c.CreatePagesProject(ctx, args[0], branch, config)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(p)
				}
				a.printf("%s will be at %s\n", printable(p.Name), printable(strings.Join(p.URLs, " ")))
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&branch, "production-branch", "main", "the branch whose deployments are for production")
	flags.StringVar(&date, "compatibility-date", "", "of the Functions; \"\" is the oldest")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the projects",
		Example: "  selvage pages list\n  selvage pages list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.PagesProjects(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "PROJECT\tCREATED\tBRANCH\tSERVES\tADDRESS") //nolint:errcheck // Flush tells
				for i := range all {
					serves := "-"
					if d := all[i].Serving; d != nil {
						serves = d.ShortID
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(all[i].Name), day(&all[i].CreatedOn), printable(all[i].Branch), //nolint:errcheck // Flush tells
						serves, printable(strings.Join(all[i].URLs, " ")))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesDeployments() *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "deployments PROJECT",
		Short: "List the deployments of a project, newest first",
		Example: `  selvage pages deployments docs
  selvage pages deployments docs --environment preview --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				p, err := c.PagesProject(ctx, args[0])
				if err != nil {
					return err
				}
				all, err := c.PagesDeployments(ctx, args[0], environment)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				return a.pagesTable(&p, all)
			})
		},
	}
	cmd.Flags().StringVar(&environment, "environment", "", "only production or preview")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesTable(p *client.PagesProject, all []client.PagesDeployment) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEPLOYMENT\tCREATED\tENVIRONMENT\tBRANCH\tCOMMIT\tSTATE\tADDRESS") //nolint:errcheck // Flush tells
	for i := range all {
		d := &all[i]
		state := d.Stage.Status
		if p.Serving != nil && p.Serving.ID == d.ID {
			state = "serves"
		}
		m := d.Trigger.Metadata
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.ShortID, day(&d.CreatedOn), d.Environment, printable(m.Branch), //nolint:errcheck // Flush tells
			printable(m.Hash[:min(len(m.Hash), 8)]), state, printable(d.URL))
	}
	return w.Flush()
}

// findPages finds a deployment by its id or the beginning of it.
func findPages(ctx context.Context, c *client.Client, project, key string) (client.PagesDeployment, error) {
	all, err := c.PagesDeployments(ctx, project, "")
	if err != nil {
		return client.PagesDeployment{}, err
	}
	var found []client.PagesDeployment
	for i := range all {
		if strings.HasPrefix(all[i].ID, key) {
			found = append(found, all[i])
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.PagesDeployment{}, fmt.Errorf("the project has no deployment %q; \"selvage pages deployments %s\" shows them", key, project)
	}
	return client.PagesDeployment{}, fmt.Errorf("%d deployments begin with %q; give more of the id", len(found), key)
}

func (a *app) pagesPromote() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "promote PROJECT DEPLOYMENT",
		Short: "Make a deployment, also one of a preview, the one in production",
		Long: `Makes a deployment the one in production, without building or uploading anything. It
keeps the variables and secrets that it was made with: those of a preview stay those
of a preview.`,
		Example: "  selvage pages promote docs 6b2232bd",
		Args:    twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesSwitch(cmd, args[0], args[1], (*client.Client).PromotePages)
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesRollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback PROJECT [DEPLOYMENT]",
		Short: "Make an earlier deployment serve again",
		Long: `Makes an earlier deployment of the production branch serve again: the one given, or
the one before that which serves.`,
		Example: `  selvage pages rollback docs
  selvage pages rollback docs 6b2232bd`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			key := ""
			if len(args) == 2 {
				key = args[1]
			}
			return a.pagesSwitch(cmd, args[0], key, (*client.Client).RollbackPages)
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) pagesSwitch(cmd *cobra.Command, project, key string, fn func(*client.Client, context.Context, string, string) (client.PagesDeployment, error)) error {
	return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
		var d client.PagesDeployment
		var err error
		if key == "" {
			d, err = pagesBefore(ctx, c, project)
		} else {
			d, err = findPages(ctx, c, project, key)
		}
		if err != nil {
			return err
		}
		if d, err = fn(c, ctx, project, d.ID); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(d)
		}
		a.printf("%s serves deployment %s of branch %s\n", printable(project), d.ShortID, printable(d.Trigger.Metadata.Branch))
		return nil
	})
}

// pagesBefore finds the deployment before the one that serves.
func pagesBefore(ctx context.Context, c *client.Client, project string) (client.PagesDeployment, error) {
	p, err := c.PagesProject(ctx, project)
	if err != nil {
		return client.PagesDeployment{}, err
	}
	all, err := c.PagesDeployments(ctx, project, "production")
	if err != nil {
		return client.PagesDeployment{}, err
	}
	past := p.Serving == nil
	for i := range all {
		switch {
		case !past:
			past = all[i].ID == p.Serving.ID
		case !all[i].Failed():
			return all[i], nil
		}
	}
	return client.PagesDeployment{}, errors.New("there is no earlier deployment of the production branch to go back to")
}

func (a *app) pagesLogs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs PROJECT [DEPLOYMENT]",
		Short: "Show what happened while a deployment was made; without one, the latest",
		Example: `  selvage pages logs docs
  selvage pages logs docs 6b2232bd --json
  selvage logs --worker pages:docs --follow    # what its Functions print, and its requests`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				id, err := pagesID(ctx, c, args, latest)
				if err != nil {
					return err
				}
				lines, err := c.PagesLog(ctx, args[0], id)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(lines)
				}
				for _, l := range lines {
					a.printf("%s  %s\n", l.Time.Local().Format("15:04:05.000"), printable(l.Line)) //nolint:gosmopolitan // for the person at this terminal
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// pagesID is the id of the deployment that arguments name, or else of the one that
// choose takes of the project.
func pagesID(ctx context.Context, c *client.Client, args []string, choose func(*client.PagesProject) (*client.PagesDeployment, error)) (string, error) {
	if len(args) == 2 {
		d, err := findPages(ctx, c, args[0], args[1])
		return d.ID, err
	}
	p, err := c.PagesProject(ctx, args[0])
	if err != nil {
		return "", err
	}
	d, err := choose(&p)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

func latest(p *client.PagesProject) (*client.PagesDeployment, error) {
	if p.Latest == nil {
		return nil, errors.New("nothing was deployed to the project yet")
	}
	return p.Latest, nil
}

func inProduction(p *client.PagesProject) (*client.PagesDeployment, error) {
	if p.Serving == nil {
		return nil, errors.New("nothing is in production yet; name a deployment")
	}
	return p.Serving, nil
}

func (a *app) pagesOpen() *cobra.Command {
	return &cobra.Command{
		Use:   "open PROJECT [DEPLOYMENT]",
		Short: "Print the address of a project, or of a deployment",
		Long: `Prints the address of a project's production, or of one deployment, for a browser or
another program: this command starts none.`,
		Example: `  selvage pages open docs
  xdg-open "$(selvage pages open docs 6b2232bd)"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if len(args) == 2 {
					d, err := findPages(ctx, c, args[0], args[1])
					if err != nil {
						return err
					}
					a.printf("%s\n", printable(d.URL))
					return nil
				}
				p, err := c.PagesProject(ctx, args[0])
				if err != nil {
					return err
				}
				for _, u := range p.URLs {
					a.printf("%s\n", printable(u))
				}
				return nil
			})
		},
	}
}
