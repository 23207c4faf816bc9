package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) d1() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "d1",
		Short: "Make, query, import and export D1 databases",
		Long:  "Works on D1 databases. One is named by its id or its name.",
		Example: `  selvage d1 create papers
  selvage d1 execute papers "SELECT count(*) FROM papers"
  selvage d1 export papers > papers.sql`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.d1Create(), a.d1List(), a.d1Info(), a.d1Insights(), a.d1Execute(), a.d1Migrate(), a.d1Import(), a.d1Export(), a.d1Delete(), a.d1TimeTravel(), a.d1Backup(), a.d1Restore())
	return cmd
}

// d1On gives fn a client and the database that ref names. Statements and transfers
// may last, so only the user's patience bounds it.
func (a *app) d1On(ctx context.Context, ref string, fn func(ctx context.Context, c *client.Client, db client.D1Database) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	db, err := c.D1(ctx, ref)
	if err != nil {
		return err
	}
	return fn(ctx, c, db)
}

func (a *app) d1Create() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an empty database and print its id",
		Example: `  selvage d1 create papers
  selvage d1 create papers --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				db, err := c.CreateD1(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(db)
				}
				a.printf("%s\n", db.UUID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) d1List() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the databases, the newest first",
		Example: "  selvage d1 list\n  selvage d1 list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.D1Databases(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tNAME\tSIZE\tCREATED") //nolint:errcheck // Flush tells
				for _, db := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", db.UUID, printable(db.Name), megabytes(db.FileSize), day(&db.CreatedAt)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) d1Info() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "info DATABASE",
		Short:   "Show a database",
		Example: "  selvage d1 info papers",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				in, err := c.D1Insights(ctx, db.UUID, client.D1InsightsQuery{Limit: 1})
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(struct {
						client.D1Database

						Last24h client.D1Activity `json:"last_24h"`
					}{db, in.Activity})
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				for _, row := range [][2]string{
					{"id", db.UUID},
					{"name", db.Name},
					{"created", db.CreatedAt.Local().Format("2006-01-02 15:04:05")},
					{"size", megabytes(db.FileSize)},
					{"tables", strconv.Itoa(db.NumTables)},
					{"durability", db.Durability},
					{"read queries in 24 h", strconv.FormatInt(in.Activity.ReadQueries, 10)},
					{"write queries in 24 h", strconv.FormatInt(in.Activity.WriteQueries, 10)},
					{"rows read in 24 h", strconv.FormatInt(in.Activity.RowsRead, 10)},
					{"rows written in 24 h", strconv.FormatInt(in.Activity.RowsWritten, 10)},
				} {
					fmt.Fprintf(w, "%s\t%s\n", row[0], printable(row[1])) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func (a *app) d1Delete() *cobra.Command {
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "delete DATABASE",
		Short: "Delete a database with all that is in it",
		Long: `Deletes a database for good. Workers that bind it go on running; their queries fail
from then on.`,
		Example: `  selvage d1 delete papers
  selvage d1 delete papers --dry-run`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				what := fmt.Sprintf("the database %s (%s), %d tables, %s", printable(db.Name), db.UUID, db.NumTables, megabytes(db.FileSize))
				switch {
				case dry:
					a.printf("would delete %s\nnothing was deleted (--dry-run)\n", what)
					return nil
				case !yes && !a.confirm("Delete "+what+"? This cannot be undone."):
					return errors.New("nothing was deleted; --yes deletes without asking")
				}
				if err := c.DeleteD1(ctx, db.UUID); err != nil {
					return err
				}
				a.note("deleted %s", db.UUID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be deleted, and delete nothing")
	return cmd
}
