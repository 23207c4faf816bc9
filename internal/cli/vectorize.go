package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) vectorize() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vectorize",
		Short: "Make, fill, search and measure vector indexes",
		Example: `  selvage vectorize create papers --preset @cf/baai/bge-base-en-v1.5
  selvage vectorize import papers papers.ndjson
  selvage vectorize query papers --vector-id p1 --top-k 10
  selvage vectorize eval papers`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(
		a.vectorCreate(), a.vectorList(), a.vectorInfo(), a.vectorDelete(), a.vectorInsert(), a.vectorImport(), a.vectorExport(),
		a.vectorQuery(), a.vectorGet(), a.vectorEval(), a.vectorBackup(), a.vectorRestore(),
	)
	return cmd
}

// vectorOn gives fn a client. Imports last, so only the user's patience bounds it.
func (a *app) vectorOn(ctx context.Context, fn func(ctx context.Context, c *client.Client) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(ctx, c)
}

func (a *app) vectorCreate() *cobra.Command {
	var x client.VectorIndex
	var indexes []string
	cmd := &cobra.Command{
		Use:   "create INDEX",
		Short: "Make an index",
		Long: `Makes an index, with dimensions and a metric or with a preset that knows both.
A filter can ask for a property of metadata that has a metadata index, and finds the
vectors that were written after it was made: so name the properties here.`,
		Example: `  selvage vectorize create papers --dimensions 768 --metric cosine
  selvage vectorize create papers --preset @cf/baai/bge-base-en-v1.5 --metadata-index year:number --metadata-index journal:string`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			meta, err := parseMetadataIndexes(indexes)
			if err != nil {
				return usage(cmd, err)
			}
			x.Name = args[0]
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				made, err := c.CreateVectorIndex(ctx, x)
				if err != nil {
					return err
				}
				for _, m := range meta {
					if err := c.CreateVectorMetadataIndex(ctx, x.Name, m); err != nil {
						return fmt.Errorf("the index was made, its metadata index on %s was not: %w", m.PropertyName, err)
					}
				}
				if a.json {
					return a.printJSON(made)
				}
				a.printf("%s: %d dimensions, %s\n", made.Name, made.Config.Dimensions, made.Config.Metric)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&x.Config.Dimensions, "dimensions", 0, "numbers of each vector")
	cmd.Flags().StringVar(&x.Config.Metric, "metric", "", "cosine, euclidean or dot-product")
	cmd.Flags().StringVar(&x.Config.Preset, "preset", "", "the model that makes the vectors, instead of both")
	cmd.Flags().StringVar(&x.Description, "description", "", "what the index is for")
	cmd.Flags().StringArrayVar(&indexes, "metadata-index", nil, "PROPERTY:TYPE, the type being string, number or boolean; may be repeated")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func parseMetadataIndexes(texts []string) ([]client.VectorMetadataIndex, error) {
	out := make([]client.VectorMetadataIndex, len(texts))
	for i, text := range texts {
		property, kind, ok := strings.Cut(text, ":")
		if !ok || kind != "string" && kind != "number" && kind != "boolean" {
			return nil, fmt.Errorf("--metadata-index %q is not PROPERTY:TYPE with the type string, number or boolean", text)
		}
		out[i] = client.VectorMetadataIndex{PropertyName: property, IndexType: kind}
	}
	return out, nil
}

func (a *app) vectorList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the indexes by name",
		Example: "  selvage vectorize list\n  selvage vectorize list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.VectorIndexes(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tDIMENSIONS\tMETRIC\tCREATED\tDESCRIPTION") //nolint:errcheck // Flush tells
				for i := range all {
					x := &all[i]
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", x.Name, x.Config.Dimensions, x.Config.Metric, day(&x.CreatedOn), printable(x.Description)) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) vectorInfo() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "info INDEX",
		Short:   "Show what an index holds",
		Example: "  selvage vectorize info papers",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				x, err := c.VectorIndex(ctx, args[0])
				if err != nil {
					return err
				}
				info, err := c.VectorIndexInfo(ctx, args[0])
				if err != nil {
					return err
				}
				spaces, err := c.VectorNamespaces(ctx, args[0])
				if err != nil {
					return err
				}
				meta, err := c.VectorMetadataIndexes(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"index": x, "info": info, "namespaces": spaces, "metadataIndexes": meta})
				}
				a.printf("%s: %d vectors of %d dimensions, %s\n", x.Name, info.VectorCount, x.Config.Dimensions, x.Config.Metric)
				for _, m := range meta {
					a.printf("metadata index  %s (%s)\n", printable(m.PropertyName), m.IndexType)
				}
				for _, s := range spaces.Largest {
					a.printf("namespace       %s  %d\n", strconv.Quote(s.Name), s.Count)
				}
				if more := spaces.Total - len(spaces.Largest); more > 0 {
					a.printf("and %d namespaces more\n", more)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) vectorDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete INDEX",
		Short:   "Delete an index with all its vectors",
		Example: "  selvage vectorize delete papers\n  selvage vectorize delete papers --yes",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				info, err := c.VectorIndexInfo(ctx, args[0])
				if err != nil {
					return err
				}
				if !yes && !a.confirm(fmt.Sprintf("Delete the index %s and its %d vectors?", printable(args[0]), info.VectorCount)) {
					return errors.New("nothing was deleted; say --yes to delete without being asked")
				}
				if err := c.DeleteVectorIndex(ctx, args[0]); err != nil {
					return err
				}
				a.note("deleted %s", args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// queryFlags are what query and eval have in common.
type queryFlags struct {
	namespace, filter string
	topK              int
}

func (f *queryFlags) add(cmd *cobra.Command, topK int) {
	cmd.Flags().StringVar(&f.namespace, "namespace", "", "search in this namespace alone")
	cmd.Flags().StringVar(&f.filter, "filter", "", "JSON of what the metadata must satisfy")
	cmd.Flags().IntVar(&f.topK, "top-k", topK, "how many to find")
}

func (f *queryFlags) query() (client.VectorQuery, error) {
	q := client.VectorQuery{TopK: f.topK}
	if f.namespace != "" {
		q.Namespace = &f.namespace
	}
	if f.filter != "" {
		if !json.Valid([]byte(f.filter)) {
			return q, fmt.Errorf("--filter %q is not JSON", f.filter)
		}
		q.Filter = json.RawMessage(f.filter)
	}
	return q, nil
}

func (a *app) vectorQuery() *cobra.Command {
	var f queryFlags
	var vector, id, metadata string
	var values, exact bool
	cmd := &cobra.Command{
		Use:   "query INDEX",
		Short: "Find the nearest vectors",
		Example: `  selvage vectorize query papers --vector-id p1 --top-k 3
  selvage vectorize query papers --vector 0.1,0.2,0.3 --filter '{"year":{"$gte":2020}}' --metadata all
  selvage vectorize query papers --vector-id p1 --exact --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query()
			if err == nil && (vector == "") == (id == "") {
				err = errors.New("give --vector or --vector-id")
			}
			if err == nil && vector != "" {
				q.Vector, err = parseVector(vector)
			}
			if err != nil {
				return usage(cmd, err)
			}
			q.VectorID, q.ReturnMetadata, q.ReturnValues, q.Exact = id, metadata, values, exact
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				found, err := c.QueryVectors(ctx, args[0], q)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(found)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "SCORE\tID\tNAMESPACE\tMETADATA") //nolint:errcheck // Flush tells
				for i := range found {
					m := &found[i]
					fmt.Fprintf(w, "%.6f\t%s\t%s\t%s\n", m.Score, printable(m.ID), printable(m.Namespace), printable(string(m.Metadata))) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	f.add(cmd, 5)
	cmd.Flags().StringVar(&vector, "vector", "", "numbers, with commas between them")
	cmd.Flags().StringVar(&id, "vector-id", "", "the vector of this id")
	cmd.Flags().StringVar(&metadata, "metadata", "none", "what to show of metadata: none, indexed or all")
	cmd.Flags().BoolVar(&values, "values", false, "with the values, in JSON")
	cmd.Flags().BoolVar(&exact, "exact", false, "compare with every vector")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func parseVector(text string) ([]float32, error) {
	fields := strings.FieldsFunc(strings.Trim(text, "[]"), func(r rune) bool { return r == ',' || r == ' ' })
	out := make([]float32, len(fields))
	for i, field := range fields {
		x, err := strconv.ParseFloat(field, 32)
		if err != nil {
			return nil, fmt.Errorf("--vector: %q is no number of 32 bits", field)
		}
		out[i] = float32(x)
	}
	return out, nil
}

func (a *app) vectorGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get INDEX ID...",
		Short:   "Print vectors as JSON, one a line",
		Example: "  selvage vectorize get papers p1 p2",
		Args:    twoArgs(21),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				found, err := c.Vectors(ctx, args[0], args[1:]...)
				if err != nil {
					return err
				}
				e := json.NewEncoder(a.Stdout)
				for i := range found {
					if err := e.Encode(&found[i]); err != nil {
						return err
					}
				}
				if missing := len(args) - 1 - len(found); missing > 0 {
					return fmt.Errorf("%d of the ids are not in the index", missing)
				}
				return nil
			})
		},
	}
}
