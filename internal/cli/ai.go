package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) ai() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ai",
		Short: "Models: what there is, bring them here, what they are used for",
		Long: `Models run in the platform, or on servers behind it (ai.upstreams and ai.routes in the
configuration). Nothing is downloaded unless you say so.`,
		Example: `  selvage ai models
  selvage ai pull @cf/baai/bge-small-en-v1.5
  selvage ai add @mine/embed --from ./my-model`,
		RunE: group,
	}
	cmd.AddCommand(a.aiModels(), a.aiPull(), a.aiAdd(), a.aiList(), a.aiRemove(), a.aiBundle(), a.aiImport(), a.aiUsage(), a.aiLimit())
	return cmd
}

func (a *app) aiModels() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "models",
		Short:   "List all models and which of them can be run",
		Example: "  selvage ai models\n  selvage ai models --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.AIModels(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "MODEL\tTASK\tSTATE\tWHAT TO DO") //nolint:errcheck // Flush tells
				for i := range all {
					m := &all[i]
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(m.Name), m.Task.Name, m.Selvage.State, printable(m.Selvage.Hint)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) aiList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the models whose files are here",
		Example: "  selvage ai list\n  selvage ai list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				s, err := c.AIStore(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(s)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "MODEL\tKIND\tSTATE\tSIZE\tSOURCE\tREVISION\tLICENSE") //nolint:errcheck // Flush tells
				for i := range s.Models {
					m := &s.Models[i]
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.12s\t%s\n", printable(m.Name), m.Kind, m.State, sizeText(m.Size), printable(m.Source), m.Revision, printable(m.License)) //nolint:errcheck // Flush tells
				}
				if err := w.Flush(); err != nil {
					return err
				}
				a.printf("%s of %s are used\n", sizeText(s.Used), sizeText(s.Quota))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// sizeText writes a size for people.
func sizeText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < len("KMGT")-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[i])
}

func (a *app) aiRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove MODEL",
		Short:   "Delete the files of a model",
		Example: "  selvage ai remove @cf/baai/bge-small-en-v1.5\n  selvage ai remove @mine/embed --yes",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				s, err := c.AIStore(ctx)
				if err != nil {
					return err
				}
				size := int64(-1)
				for i := range s.Models {
					if s.Models[i].Name == args[0] {
						size = s.Models[i].Size
					}
				}
				if size < 0 {
					return fmt.Errorf("the files of %s are not here; \"selvage ai list\" shows those there are", printable(args[0]))
				}
				if !yes && !a.confirm(fmt.Sprintf("Delete %s, %s?", printable(args[0]), sizeText(size))) {
					return errors.New("nothing was deleted; say --yes to delete without being asked")
				}
				if err := c.RemoveAIModel(ctx, args[0]); err != nil {
					return err
				}
				a.note("deleted %s", printable(args[0]))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) aiBundle() *cobra.Command {
	return &cobra.Command{
		Use:   "bundle MODEL FILE",
		Short: "Write a model into one file, for a machine without the network",
		Long: `Writes a model into a tar archive with its digests. On another platform
"selvage ai import" reads and checks it.`,
		Example: "  selvage ai bundle @cf/baai/bge-small-en-v1.5 bge-small.tar",
		Args:    twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				var n int64
				err := writeWhole(args[1], func(w io.Writer) error {
					r, err := c.BundleAIModel(ctx, args[0])
					if err != nil {
						return err
					}
					defer r.Close() //nolint:errcheck // only read
					n, err = io.Copy(w, r)
					return err
				})
				if err != nil {
					return err
				}
				a.note("%s of %s in %s", sizeText(n), printable(args[0]), args[1])
				return nil
			})
		},
	}
}
