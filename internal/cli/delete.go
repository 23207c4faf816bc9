package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) delete() *cobra.Command {
	f := &projectFlags{}
	var yes, force, dry bool
	cmd := &cobra.Command{
		Use:   "delete [NAME]",
		Short: "Delete a worker with its versions and secrets",
		Long: `Deletes a worker, all its versions, deployments and secrets, and the data of its
Durable Objects. KV namespaces and databases stay. While other workers refer to it,
that needs --force.`,
		Example: `  selvage delete links
  selvage delete links --dry-run
  selvage delete links --yes --force`,
		Args:              atMostOneArg,
		ValidArgsFunction: a.completeWorkers,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if f.name != "" && f.name != args[0] {
					return usage(cmd, fmt.Errorf("the argument %s and --name %s name two workers", args[0], f.name))
				}
				f.name = args[0]
			}
			var what string
			var users []string
			err := a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) (err error) {
				what, users, err = describe(ctx, c, worker)
				return err
			})
			switch {
			case err != nil:
				return err
			case dry:
				a.printf("would delete %s\nnothing was deleted (--dry-run)\n", what)
				return nil
			case len(users) > 0 && !force:
				return fmt.Errorf("%s; say --force to delete it all the same", what)
			case !yes && !a.confirm("Delete "+what+"? This cannot be undone."):
				return errors.New("nothing was deleted; --yes deletes without asking")
			}
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				if err := c.DeleteScript(ctx, worker, force); err != nil {
					return err
				}
				a.note("deleted %s", worker)
				return nil
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "delete it though other workers refer to it")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be deleted, and delete nothing")
	return cmd
}

// describe says what deleting a worker takes away, and which workers it would break.
func describe(ctx context.Context, c *client.Client, worker string) (what string, users []string, err error) {
	versions, err := c.Versions(ctx, worker)
	if err != nil {
		return "", nil, err
	}
	if users, err = referrers(ctx, c, worker); err != nil {
		return "", nil, err
	}
	what = fmt.Sprintf("%s, with all its versions (%d)", worker, len(versions))
	if len(users) > 0 {
		what += ", to which these workers refer: " + printable(strings.Join(users, ", "))
	}
	return what, users, nil
}

// referrers are the other workers that have bindings to one.
func referrers(ctx context.Context, c *client.Client, worker string) ([]string, error) {
	r, err := c.References(ctx, worker)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range r.Services.Incoming {
		out = append(out, s.Service)
	}
	for _, o := range r.Objects {
		out = append(out, o.Service)
	}
	out = slices.DeleteFunc(out, func(name string) bool { return name == worker })
	slices.Sort(out)
	return slices.Compact(out), nil
}
