package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) kv() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Make and fill KV namespaces",
		Long: `Works on KV namespaces and the keys in them. A namespace is named by its id or by
its title.`,
		Example: `  selvage kv namespace create sessions
  selvage kv key put sessions greeting hello --ttl 3600
  selvage kv key get sessions greeting`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.kvNamespace(), a.kvKey(), a.kvBulk())
	return cmd
}

func (a *app) kvNamespace() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "namespace",
		Short:   "Create, list, rename and delete namespaces",
		Example: "  selvage kv namespace list",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(a.kvCreate(), a.kvList(), a.kvRename(), a.kvDelete())
	return cmd
}

// kvOn gives fn a client and the id of the namespace that key names. Bulk calls
// and large values last, so only the user's patience bounds it.
func (a *app) kvOn(ctx context.Context, key string, fn func(ctx context.Context, c *client.Client, id string) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := findNamespace(ctx, c, key)
	if err != nil {
		return err
	}
	return fn(ctx, c, n.ID)
}

// findNamespace finds a namespace by id or title.
func findNamespace(ctx context.Context, c *client.Client, key string) (client.KVNamespace, error) {
	all, err := c.KVNamespaces(ctx)
	if err != nil {
		return client.KVNamespace{}, err
	}
	for _, n := range all {
		if n.ID == key {
			return n, nil
		}
	}
	for _, n := range all {
		if n.Title == key {
			return n, nil
		}
	}
	return client.KVNamespace{}, fmt.Errorf("no KV namespace has the id or title %q; \"selvage kv namespace list\" shows them", key)
}

func (a *app) kvCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create TITLE",
		Short: "Make a namespace and print its id",
		Example: `  selvage kv namespace create sessions
  selvage kv namespace create sessions --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				n, err := c.CreateKVNamespace(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(n)
				}
				a.printf("%s\n", n.ID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) kvList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the namespaces by title",
		Example: "  selvage kv namespace list\n  selvage kv namespace list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.KVNamespaces(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tTITLE\tCREATED") //nolint:errcheck // Flush tells
				for _, n := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\n", n.ID, printable(n.Title), day(&n.CreatedOn)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) kvRename() *cobra.Command {
	return &cobra.Command{
		Use:     "rename NAMESPACE TITLE",
		Short:   "Give a namespace another title; its id and keys stay",
		Example: "  selvage kv namespace rename sessions old-sessions",
		Args:    twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				_, err := c.RenameKVNamespace(ctx, id, args[1])
				return err
			})
		},
	}
}

func (a *app) kvDelete() *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "delete NAMESPACE",
		Short: "Delete a namespace with all its keys",
		Long: `Deletes a namespace with all its keys, for good. One that a deployed worker binds
is refused unless --force says otherwise: the worker's calls would fail from then on.`,
		Example: `  selvage kv namespace delete sessions
  selvage kv namespace delete 0123456789abcdef0123456789abcdef --yes`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				if !yes && !a.confirm(fmt.Sprintf("Delete the KV namespace %s (%s) and all its keys?", printable(args[0]), id)) {
					return errors.New("nothing was deleted; say --yes to delete without being asked")
				}
				if err := c.DeleteKVNamespace(ctx, id, force); err != nil {
					return err
				}
				a.note("deleted %s", id)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "also when a deployed worker binds it")
	return cmd
}

// twoArgs checks that there are two arguments, or more up to most.
func twoArgs(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 || len(args) > most {
			return usage(cmd, fmt.Errorf("%s takes %s, got %d arguments", cmd.CommandPath(), cmd.Use[len(cmd.Name())+1:], len(args)))
		}
		return nil
	}
}
