package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

func (a *app) trigger() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trigger",
		Short: "Run a worker's handlers by hand",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(a.triggerCron())
	return cmd
}

func (a *app) triggerCron() *cobra.Command {
	var expr, at string
	cmd := &cobra.Command{
		Use:   "cron WORKER",
		Short: "Run a worker's scheduled handler now",
		Long: `Runs the scheduled handler of a worker's live version now, waits until it and all
that it gave to waitUntil have ended, and prints the outcome. The exit code is 1
when the handler failed. The worker's cron triggers are not changed.`,
		Example: `  selvage trigger cron links
  selvage trigger cron links --cron '*/5 * * * *'
  selvage trigger cron links --at 2026-12-24T18:00:00Z --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var when time.Time
			if at != "" {
				var err error
				if when, err = time.Parse(time.RFC3339, at); err != nil {
					return usage(cmd, fmt.Errorf("--at %q is no time such as 2006-01-02T15:04:05Z", at))
				}
			}
			return a.runCron(cmd.Context(), args[0], expr, when)
		},
	}
	cmd.Flags().StringVar(&expr, "cron", "", "the expression that the handler is told (default: the worker's first trigger)")
	cmd.Flags().StringVar(&at, "at", "", "the time that the handler is told (default: this minute)")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// runCron has no bound on the time: a handler may run for minutes, and the
// platform bounds it.
func (a *app) runCron(ctx context.Context, worker, expr string, at time.Time) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := c.TriggerScheduled(ctx, worker, expr, at)
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(run); err != nil {
			return err
		}
	} else {
		a.printf("%s\n", runLine(run))
	}
	if run.Outcome != telemetry.OutcomeOK {
		return errReported
	}
	return nil
}

func runLine(r client.ScheduledRun) string {
	line := fmt.Sprintf("%q of %s: %s after %s (ray %s)", printable(r.Cron), r.ScheduledTime.UTC().Format(time.RFC3339), printable(r.Outcome),
		time.Duration(r.WallMS*float64(time.Millisecond)).Round(time.Millisecond), printable(r.Ray))
	if r.Error != "" {
		line += "\n" + printable(r.Error)
	}
	return line
}
