package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) pagesDelete() *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "delete PROJECT [DEPLOYMENT]",
		Short: "Delete a project with all its deployments, or one deployment",
		Long: `Deletes a project with all its deployments and secrets, or one deployment. The one in
production is never deleted by itself; the latest of a branch only with --force.`,
		Example: `  selvage pages delete docs
  selvage pages delete docs 6b2232bd --yes --force`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if len(args) == 2 {
					d, err := findPages(ctx, c, args[0], args[1])
					if err != nil {
						return err
					}
					if !yes && !a.confirm(fmt.Sprintf("Delete the deployment %s of %s (branch %s)?", d.ShortID, printable(args[0]), printable(d.Trigger.Metadata.Branch))) {
						return errors.New("nothing was deleted; --yes deletes without asking")
					}
					return c.DeletePagesDeployment(ctx, args[0], d.ID, force)
				}
				all, err := c.PagesDeployments(ctx, args[0], "")
				if err != nil {
					return err
				}
				if !yes && !a.confirm(fmt.Sprintf("Delete %s with all its deployments (%d)? This cannot be undone.", printable(args[0]), len(all))) {
					return errors.New("nothing was deleted; --yes deletes without asking")
				}
				if err := c.DeletePagesProject(ctx, args[0]); err != nil {
					return err
				}
				a.note("deleted %s", printable(args[0]))
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "also the latest deployment of a branch")
	return cmd
}

func (a *app) pagesSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Set, list and delete the secrets of a project",
		Long: `Secrets are values that the Functions of a project find in their environment and
nobody can read back. They count from the next deployment on.`,
		Example: `  selvage pages secret put docs TOKEN < token.txt
  selvage pages secret list docs --environment preview`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.pagesSecretPut(), a.pagesSecretList(), a.pagesSecretDelete())
	return cmd
}

// environmentFlag adds --environment, which says whose settings are meant.
func environmentFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("environment", "production", "production or preview")
}

func checkEnvironment(cmd *cobra.Command, environment string) error {
	if environment != "production" && environment != "preview" {
		return usage(cmd, fmt.Errorf("--environment is %q; give production or preview", environment))
	}
	return nil
}

func (a *app) pagesSecretPut() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "put PROJECT NAME",
		Short:   "Set a secret; its value comes from standard input or a prompt",
		Example: "  openssl rand -hex 32 | selvage pages secret put docs TOKEN",
		Args:    twoArgs(2),
	}
	environment := environmentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkEnvironment(cmd, *environment); err != nil {
			return err
		}
		value, err := a.readSecret(args[1])
		if err != nil {
			return err
		}
		return a.pagesVar(cmd.Context(), args, *environment, map[string]string{"type": "secret_text", "value": value}, "set")
	}
	return cmd
}

func (a *app) pagesSecretDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete PROJECT NAME",
		Short:   "Delete a secret",
		Example: "  selvage pages secret delete docs TOKEN --yes",
		Args:    twoArgs(2),
	}
	environment := environmentFlag(cmd)
	yes := cmd.Flags().BoolP("yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkEnvironment(cmd, *environment); err != nil {
			return err
		}
		if !*yes && !a.confirm(fmt.Sprintf("Delete the secret %s of %s (%s)?", printable(args[1]), printable(args[0]), *environment)) {
			return errors.New("nothing was deleted; --yes deletes without asking")
		}
		return a.pagesVar(cmd.Context(), args, *environment, nil, "deleted")
	}
	return cmd
}

// pagesVar sets a variable; value nil deletes it.
func (a *app) pagesVar(ctx context.Context, args []string, environment string, value any, done string) error {
	return a.pagesOn(ctx, func(ctx context.Context, c *client.Client) error {
		if value == nil {
			p, err := c.PagesProject(ctx, args[0])
			if err != nil {
				return err
			}
			if p.Configs[environment].Vars[args[1]].Type != "secret_text" {
				return fmt.Errorf("%s has no secret %q in %s", args[0], args[1], environment)
			}
		}
		if _, err := c.PatchPagesConfig(ctx, args[0], environment, map[string]any{"env_vars": map[string]any{args[1]: value}}); err != nil {
			return err
		}
		a.note("%s of %s (%s) is %s, for deployments from now on", printable(args[1]), printable(args[0]), environment, done)
		return nil
	})
}

func (a *app) pagesSecretList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list PROJECT",
		Short:   "List the names of the secrets",
		Example: "  selvage pages secret list docs --json",
		Args:    oneArg,
	}
	environment := environmentFlag(cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkEnvironment(cmd, *environment); err != nil {
			return err
		}
		return a.pagesOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			p, err := c.PagesProject(ctx, args[0])
			if err != nil {
				return err
			}
			names := []string{}
			for name, v := range p.Configs[*environment].Vars {
				if v.Type == "secret_text" {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			if a.json {
				return a.printJSON(names)
			}
			w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			for _, name := range names {
				fmt.Fprintln(w, printable(name)) //nolint:errcheck // Flush tells
			}
			return w.Flush()
		})
	}
	return cmd
}
