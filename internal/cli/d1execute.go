package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) d1Execute() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "execute DATABASE SQL",
		Short: "Run statements as one transaction and print their rows",
		Example: `  selvage d1 execute papers "SELECT title FROM papers LIMIT 5"
  selvage d1 execute papers "UPDATE papers SET seen = 1; SELECT changes()" --json`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				results, err := c.QueryD1(ctx, db.UUID, args[1])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(results)
				}
				for i := range results {
					if err := a.printRows(&results[i]); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// printRows prints a result as a table.
func (a *app) printRows(r *client.D1Result) error {
	columns, rows, err := tableOf(r.Results)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, printable(strings.Join(columns, "\t"))) //nolint:errcheck // Flush tells
		for _, row := range rows {
			for i := range row {
				row[i] = printable(row[i])
			}
			fmt.Fprintln(w, strings.Join(row, "\t")) //nolint:errcheck // Flush tells
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	a.note("%d rows, %d changed; %d read, %d written, %.2f ms", len(rows), r.Meta.Changes, r.Meta.RowsRead, r.Meta.RowsWritten, r.Meta.Duration)
	return nil
}

// tableOf reads an array of objects, keeping the order of their keys.
func tableOf(raw json.RawMessage) (columns []string, rows [][]string, err error) {
	var objects []json.RawMessage
	if err := json.Unmarshal(raw, &objects); err != nil {
		return nil, nil, fmt.Errorf("the platform's answer holds no rows: %w", err)
	}
	for i, object := range objects {
		d := json.NewDecoder(bytes.NewReader(object))
		if _, err := d.Token(); err != nil {
			return nil, nil, err
		}
		var row []string
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, nil, err
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				return nil, nil, err
			}
			if i == 0 {
				columns = append(columns, fmt.Sprint(key))
			}
			row = append(row, cell(value))
		}
		rows = append(rows, row)
	}
	return columns, rows, nil
}

// cell is a value as a table shows it: text without its quotes.
func cell(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && raw[0] == '"' {
		return text
	}
	return string(raw)
}

// migrationsTable is where wrangler notes what it has applied; so do we.
const migrationsTable = `CREATE TABLE IF NOT EXISTS "d1_migrations"(
	id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`

func (a *app) d1Migrate() *cobra.Command {
	var dir string
	var dry bool
	cmd := &cobra.Command{
		Use:   "migrate DATABASE",
		Short: "Apply the migrations of a folder that were not applied yet",
		Long: `Applies the .sql files of a folder in the order of their names, each as one
transaction, and notes each in the table d1_migrations, as wrangler does. It ends at the
first that fails, of which nothing stays.`,
		Example: `  selvage d1 migrate papers
  selvage d1 migrate papers --dir db/migrations --dry-run`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := migrationFiles(dir)
			if err != nil {
				return err
			}
			return a.d1On(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, db client.D1Database) error {
				return a.migrate(ctx, c, db.UUID, files, dry)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "migrations", "folder of the migrations")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be applied, and apply nothing")
	return cmd
}

// migrationFiles lists the .sql files of a folder by name.
func migrationFiles(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no .sql files; --dir names the folder of the migrations", dir)
	}
	slices.Sort(files)
	return files, nil
}

func (a *app) migrate(ctx context.Context, c *client.Client, id string, files []string, dry bool) error { //nolint:revive // --dry-run
	applied, err := appliedMigrations(ctx, c, id)
	if err != nil {
		return err
	}
	done := 0
	for _, file := range files {
		name := filepath.Base(file)
		if slices.Contains(applied, name) {
			continue
		}
		done++
		if dry {
			a.printf("would apply %s\n", printable(name))
			continue
		}
		sql, err := os.ReadFile(file) //nolint:gosec // the user's file
		if err != nil {
			return err
		}
		note := "\n;INSERT INTO d1_migrations (name) VALUES ('" + strings.ReplaceAll(name, "'", "''") + "')"
		if _, err := c.QueryD1(ctx, id, migrationsTable+";\n"+string(sql)+note); err != nil {
			return fmt.Errorf("%s: %w", printable(name), err)
		}
		a.printf("applied %s\n", printable(name))
	}
	if done == 0 {
		a.note("nothing to apply: all %d migrations were applied before", len(files))
	}
	return nil
}

// appliedMigrations reads the names of what was applied; without the table, nothing was.
func appliedMigrations(ctx context.Context, c *client.Client, id string) ([]string, error) {
	results, err := c.QueryD1(ctx, id, `SELECT name FROM d1_migrations ORDER BY id`)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == client.CodeD1Query && strings.Contains(err.Error(), "no such table: d1_migrations") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(results[0].Results, &names); err != nil {
		return nil, err
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.Name
	}
	return out, nil
}
