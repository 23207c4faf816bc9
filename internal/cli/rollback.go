package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

// codeSecretsChanged says that secrets changed since a version was made.
const codeSecretsChanged = 10220

func (a *app) rollback() *cobra.Command {
	f := &projectFlags{}
	var message string
	var yes bool
	cmd := &cobra.Command{
		Use:   "rollback [VERSION]",
		Short: "Make an earlier version live again",
		Long: `Makes a version live: the one given, or the one that was live alone before the
present deployment. Secrets that were changed since come back with their old values,
which is asked about first.`,
		Example: `  selvage rollback
  selvage rollback 6b2232bd-76c5-43db-b7a0-c3201abc7425 --message "broken login"`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				o := client.DeployOptions{Message: message}
				d, err := rollback(ctx, c, worker, args, o)
				if client.HasCode(err, codeSecretsChanged) {
					if !yes && !a.confirm(fmt.Sprintf("%s Roll back all the same?", plainError(err, worker))) {
						return fmt.Errorf("nothing was changed; --yes rolls back with the old secrets: %w", plainError(err, worker))
					}
					o.Force = true
					d, err = rollback(ctx, c, worker, args, o)
				}
				if err != nil {
					return err
				}
				return a.showDeployment(worker, d)
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVarP(&message, "message", "m", "", "a note kept with the deployment")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func rollback(ctx context.Context, c *client.Client, worker string, args []string, o client.DeployOptions) (client.Deployment, error) {
	if len(args) == 0 {
		return c.Rollback(ctx, worker, o)
	}
	return c.DeployVersion(ctx, worker, args[0], o)
}

// showDeployment shows what has just become live.
func (a *app) showDeployment(worker string, d client.Deployment) error {
	if a.json {
		return a.printJSON(d)
	}
	for _, v := range d.Versions {
		a.printf("%s: version %s serves %g %%\n", worker, v.VersionID, v.Percentage)
	}
	return nil
}
