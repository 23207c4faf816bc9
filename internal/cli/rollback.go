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
  selvage rollback 6b2232bd --message "broken login"`,
		Args:              atMostOneArg,
		ValidArgsFunction: a.completeVersions(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withOldSecrets(cmd, f, yes, func(ctx context.Context, c *client.Client, worker string, force bool) error {
				o := client.DeployOptions{Message: message, Force: force}
				d, err := rollback(ctx, c, worker, args, o)
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
	id, err := wholeID(ctx, c, worker, args[0])
	if err != nil {
		return client.Deployment{}, err
	}
	return c.DeployVersion(ctx, worker, id, o)
}

// withOldSecrets calls fn, and once more with force when secrets have changed
// since the version was made and their old values are wanted.
func (a *app) withOldSecrets(cmd *cobra.Command, f *projectFlags, yes bool, fn func(ctx context.Context, c *client.Client, worker string, force bool) error) error { //nolint:revive // a flag of the command
	try := func(force bool) error {
		return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error { return fn(ctx, c, worker, force) })
	}
	err := try(false)
	if !client.HasCode(err, codeSecretsChanged) {
		return err
	}
	if !yes && !a.confirm(printable(err.Error())+" Make it live with the old values?") {
		return fmt.Errorf("nothing was changed; --yes makes it live with the old values: %w", err)
	}
	return try(true)
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
