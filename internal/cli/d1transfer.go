package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/fsx"
)

func (a *app) d1Import() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import DATABASE FILE",
		Short: "Run a file of SQL statements as one transaction",
		Long: `Uploads a file of SQL statements and runs it as one transaction: if one fails, nothing
has changed, and the message names the statement. Writers wait meanwhile, readers do not.`,
		Example: `  selvage d1 import papers papers.sql
  sqlite3 old.db .dump | grep -v -x -e 'BEGIN TRANSACTION;' -e 'COMMIT;' > old.sql
  selvage d1 import papers old.sql`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[1])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				began := time.Now()
				done, err := c.ImportD1(ctx, db.UUID, f, func(p client.D1Progress) {
					const worthSaying = 4_000_000 // bytes: less is through in a moment
					if p.Total > worthSaying {
						a.note("%s", progress(p, time.Since(began)))
					}
				})
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(done)
				}
				a.printf("imported %d statements, %d rows written, in %s; the database has %s\n",
					done.NumQueries, done.Meta.RowsWritten, time.Since(began).Round(time.Millisecond), megabytes(done.Meta.SizeAfter))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// progress says how far an import is, how fast, and when it should be through.
func progress(p client.D1Progress, took time.Duration) string {
	text := fmt.Sprintf("%s: %s of %s", p.Step, megabytes(p.Done), megabytes(p.Total))
	rate := float64(p.Done) / max(took.Seconds(), 0.001)
	if p.Done > 0 && p.Done < p.Total {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %.1f MB/s, %s left", rate/1e6, left.Round(time.Second))
	}
	return text
}

func (a *app) d1Export() *cobra.Command {
	var output string
	var o client.D1ExportOptions
	cmd := &cobra.Command{
		Use:   "export DATABASE",
		Short: "Print a database as SQL statements that make it again",
		Example: `  selvage d1 export papers --output papers.sql
  selvage d1 export papers --no-data
  selvage d1 export papers --table authors | gzip > authors.sql.gz`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				if output == "" {
					return c.ExportD1(ctx, db.UUID, o, a.Stdout)
				}
				return writeWhole(output, func(w io.Writer) error { return c.ExportD1(ctx, db.UUID, o, w) })
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; standard output otherwise")
	cmd.Flags().BoolVar(&o.NoSchema, "no-schema", false, "rows alone")
	cmd.Flags().BoolVar(&o.NoData, "no-data", false, "the schema alone")
	cmd.Flags().StringArrayVar(&o.Tables, "table", nil, "this table alone; may be repeated")
	return cmd
}

// writeWhole makes a file that is there whole or, when fn fails, not at all.
func writeWhole(path string, fn func(io.Writer) error) error {
	f, err := fsx.CreateTemp(filepath.Dir(path), ".export-*")
	if err != nil {
		return err
	}
	if err := fn(f); err != nil {
		return errors.Join(err, fsx.FS{}.Discard(f))
	}
	return fsx.Commit(f, path)
}
