package cli

import (
	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/internal/server"
)

func (a *app) trust() *cobra.Command {
	var show, remove bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine trust the platform's local certificate authority",
		Long: `With tls.mode local the platform signs the certificates of its hosts itself.
This adds its root to the system's trust store, for which it needs the rights
of the administrator, or takes it away again. The root can vouch for the
platform's own domain and for names of development alone (localhost, test,
internal, home.arpa).`,
		Example: `  sudo selvage trust --data /var/lib/selvage
  selvage trust --print > selvage-root.crt    for a browser with a store of its own
  sudo selvage trust --uninstall`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadData()
			if err != nil {
				return err
			}
			switch {
			case show:
				var root []byte
				if root, err = server.LocalRoot(c.Data); err == nil {
					a.printf("%s", root)
				}
				return err
			case remove:
				err = server.Distrust(cmd.Context(), c.Data)
			default:
				err = server.Trust(cmd.Context(), c.Data)
			}
			if err != nil {
				return err
			}
			if remove {
				a.printf("This machine does not trust the local certificate authority any more. Browsers that run keep it until they start again.\n")
				return nil
			}
			a.printf("This machine trusts the local certificate authority in %s. Start browsers that run again; Firefox has a store of its own, see --print.\n", c.Data)
			return nil
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the root certificate (PEM) and change nothing")
	cmd.Flags().BoolVar(&remove, "uninstall", false, "take the root away again")
	cmd.MarkFlagsMutuallyExclusive("print", "uninstall")
	return cmd
}
