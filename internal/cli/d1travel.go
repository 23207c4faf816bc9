package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) d1TimeTravel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "time-travel",
		Short: "Name earlier states of a database, and put it back to one",
		Long: `Every state of a database since d1.time_travel ago (30 days unless set otherwise) can
be restored: that after any transaction, named by its bookmark, or that at any time.`,
		Example: `  selvage d1 time-travel info papers --timestamp 2026-11-24T10:00:00Z
  selvage d1 time-travel restore papers --timestamp 2026-11-24T10:00:00Z`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.d1TravelInfo(), a.d1TravelRestore())
	return cmd
}

// parseMoment reads a time: RFC 3339, seconds since 1970, or how long ago.
func parseMoment(cmd *cobra.Command, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return time.Unix(n, 0), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	return time.Time{}, usage(cmd, fmt.Errorf("--timestamp %q is no time; use 2026-11-24T10:00:00Z, seconds since 1970, or 15m for a quarter of an hour ago", text))
}

func (a *app) d1TravelInfo() *cobra.Command {
	var timestamp string
	cmd := &cobra.Command{
		Use:   "info DATABASE",
		Short: "Print the bookmark of the state now, or at a time",
		Example: `  selvage d1 time-travel info papers
  selvage d1 time-travel info papers --timestamp 15m`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parseMoment(cmd, timestamp)
			if err != nil {
				return err
			}
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				bookmark, err := c.D1Bookmark(ctx, db.UUID, at)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"bookmark": bookmark})
				}
				a.printf("%s\n", bookmark)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&timestamp, "timestamp", "", "the state at this time: RFC 3339, seconds since 1970, or how long ago (15m)")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) d1TravelRestore() *cobra.Command {
	var timestamp, bookmark string
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "restore DATABASE",
		Short: "Put a database back to an earlier state, in place",
		Long: `Puts a database back to the state of a bookmark or of a time. What it held until then
is replaced, in one transaction, and stays restorable: the bookmark that undoes it is printed.`,
		Example: `  selvage d1 time-travel restore papers --timestamp 15m
  selvage d1 time-travel restore papers --bookmark 00000001-0000002a-00000002-9f86d081884c7d659a2feaa0c55ad015 --yes`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parseMoment(cmd, timestamp)
			if err != nil {
				return err
			}
			if (bookmark == "") == (timestamp == "") {
				return usage(cmd, errors.New("name the state with --bookmark or with --timestamp, one of them"))
			}
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				if bookmark == "" {
					if bookmark, err = c.D1Bookmark(ctx, db.UUID, at); err != nil {
						return err
					}
				}
				what := fmt.Sprintf("the database %s (%s) by its state of %s", printable(db.Name), db.UUID, printable(bookmark))
				switch {
				case dry:
					a.printf("would replace %s\nnothing was changed (--dry-run)\n", what)
					return nil
				case !yes && !a.confirm("Replace "+what+"?"):
					return errors.New("nothing was changed; --yes restores without asking")
				}
				done, err := c.RestoreD1(ctx, db.UUID, bookmark)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(done)
				}
				a.printf("restored %s\nto undo it: selvage d1 time-travel restore %s --bookmark %s\n", done.Bookmark, printable(db.Name), done.PreviousBookmark)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&timestamp, "timestamp", "", "the state at this time: RFC 3339, seconds since 1970, or how long ago (15m)")
	cmd.Flags().StringVar(&bookmark, "bookmark", "", "the state of this bookmark")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be restored, and change nothing")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}
