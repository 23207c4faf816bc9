package cli

import "github.com/spf13/cobra"

func (a *app) pages() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pages",
		Short:   "Work on sites",
		Example: "  selvage pages builds list docs",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(a.pagesBuilds())
	return cmd
}
