package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) pagesTail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail PROJECT [DEPLOYMENT]",
		Short: "Watch what a site's Functions do, as they do it",
		Long: `Shows each request that the Functions of a deployment answer, when it has ended, with
what they printed and threw, until it is interrupted. Without a deployment it is the
one in production now. The filters are those of "selvage tail". What was before is in
"selvage logs --worker pages:PROJECT".`,
		Example: `  selvage pages tail docs
  selvage pages tail docs 6b2232bd --status error --json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(cmd.Flags().Changed("sampling-rate"))
			if err != nil {
				return usage(cmd, err)
			}
			return a.showTail(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, opened func(), yield func(client.TailItem) bool) error {
				c, err := settleAccount(ctx, c)
				if err != nil {
					return err
				}
				id, err := pagesID(ctx, c, args, inProduction)
				if err != nil {
					return plainPages(err)
				}
				return plainPages(c.TailPages(ctx, args[0], id, filter, opened, yield))
			})
		},
	}
	f.register(a, cmd)
	return cmd
}
