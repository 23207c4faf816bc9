package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/internal/server"
)

func (a *app) trust() *cobra.Command {
	var show, remove bool
	var nss string
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine trust the platform's local certificate authority",
		Long: `With tls.mode local the platform signs the certificates of its hosts itself.
This adds its root to the system's trust store, for which it needs the rights
of the administrator, or takes it away again. The root can vouch for the
platform's own domain and for names of development alone (localhost, test,
internal, home.arpa).`,
		Example: `  sudo selvage trust --data /var/lib/selvage
  selvage trust --nss                         for your Chromium (~/.pki/nssdb), with certutil; needs no rights
  selvage trust --nss=~/.mozilla/firefox/x.default
  selvage trust --print > selvage-root.crt    for a program with a store of its own
  sudo selvage trust --uninstall`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadData()
			if err != nil {
				return err
			}
			switch {
			case nss != "":
				return a.trustNSS(cmd.Context(), c.Data, nss, remove)
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
			a.printf("This machine trusts the local certificate authority in %s. Start browsers that run again; browsers on Linux have stores of their own, see --nss.\n", c.Data)
			return nil
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the root certificate (PEM) and change nothing")
	cmd.Flags().BoolVar(&remove, "uninstall", false, "take the root away again")
	cmd.Flags().StringVar(&nss, "nss", "", "the trust store of a browser instead of the system's: the folder of its NSS database")
	cmd.Flags().Lookup("nss").NoOptDefVal = "~/.pki/nssdb"
	cmd.MarkFlagsMutuallyExclusive("print", "uninstall")
	cmd.MarkFlagsMutuallyExclusive("print", "nss")
	return cmd
}

func (a *app) trustNSS(ctx context.Context, data, dir string, remove bool) error { //nolint:revive // which of two
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("the home directory is not known; give the folder of the database: %w", err)
		}
		dir = filepath.Join(home, rest)
	}
	if remove {
		if err := server.DistrustNSS(ctx, dir); err != nil {
			return err
		}
		a.printf("The browser of %s does not trust the local certificate authority any more, once it starts again.\n", dir)
		return nil
	}
	if err := server.TrustNSS(ctx, data, dir); err != nil {
		return err
	}
	a.printf("The browser of %s trusts the local certificate authority in %s, once it starts again.\n", dir, data)
	return nil
}
