package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

// What one request takes: fewer pairs than the API's bound, so that a request
// stays small and a failure says where it happened.
const (
	bulkPairs   = 1000
	bulkBytes   = 32 << 20
	bulkGetKeys = 100
)

func (a *app) kvBulk() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bulk",
		Short: "Put, get and delete many keys by a JSON file",
		Example: `  selvage kv bulk put sessions pairs.json
  selvage kv bulk get sessions keys.json
  selvage kv bulk delete sessions keys.json`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.kvBulkPut(), a.kvBulkGet(), a.kvBulkDelete())
	return cmd
}

func (a *app) kvBulkPut() *cobra.Command {
	return &cobra.Command{
		Use:   "put NAMESPACE FILE",
		Short: "Store the pairs of a file (- for standard input)",
		Long: `Stores the pairs of a JSON file, an array of objects with "key" and "value", and
optionally "base64": true, "metadata", "expiration" and "expiration_ttl". Every
request of up to 1,000 pairs is stored whole or not at all.`,
		Example: `  selvage kv bulk put sessions pairs.json
  echo '[{"key":"a","value":"1"}]' | selvage kv bulk put sessions -`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var pairs []client.KVPair
			if err := a.readJSONFile(args[1], &pairs); err != nil {
				return err
			}
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				for done := 0; done < len(pairs); {
					n := bulkChunk(pairs[done:])
					if err := c.PutKVBulk(ctx, id, pairs[done:done+n]); err != nil {
						return fmt.Errorf("%w (%d of %d pairs are stored)", err, done, len(pairs))
					}
					done += n
				}
				a.note("stored %d keys", len(pairs))
				return nil
			})
		},
	}
}

// bulkChunk is how many of the pairs go into the next request.
func bulkChunk(pairs []client.KVPair) int {
	size := 0
	for i := range pairs {
		if size += len(pairs[i].Key) + len(pairs[i].Value); i == bulkPairs || size > bulkBytes && i > 0 {
			return i
		}
	}
	return len(pairs)
}

func (a *app) kvBulkGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get NAMESPACE FILE",
		Short: "Print the values of the keys of a file (- for standard input) as JSON",
		Long: `Reads the values of the keys of a JSON file, an array of strings, and prints an
object from key to value: text, or null for a key that is not there.`,
		Example: `  selvage kv bulk get sessions keys.json
  echo '["a","b"]' | selvage kv bulk get sessions -`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var keys []string
			if err := a.readJSONFile(args[1], &keys); err != nil {
				return err
			}
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				all := make(map[string]*string, len(keys))
				for some := range slices.Chunk(keys, bulkGetKeys) {
					values, err := c.GetKVBulk(ctx, id, some)
					if err != nil {
						return err
					}
					maps.Copy(all, values)
				}
				return a.printJSON(all)
			})
		},
	}
}

func (a *app) kvBulkDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAMESPACE FILE",
		Short: "Delete the keys of a file (- for standard input)",
		Long:  "Deletes the keys of a JSON file, an array of strings.",
		Example: `  selvage kv bulk delete sessions keys.json
  selvage kv key list sessions --json | jq '[.[].name]' | selvage kv bulk delete sessions - --yes`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "-" && !yes {
				return usage(cmd, errors.New("with the keys on standard input nobody can be asked; say --yes"))
			}
			var keys []string
			if err := a.readJSONFile(args[1], &keys); err != nil {
				return err
			}
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				if !yes && !a.confirm(fmt.Sprintf("Delete %d keys of %s?", len(keys), printable(args[0]))) {
					return errors.New("nothing was deleted; say --yes to delete without being asked")
				}
				for some := range slices.Chunk(keys, bulkPairs) {
					if err := c.DeleteKVBulk(ctx, id, some); err != nil {
						return err
					}
				}
				a.note("deleted %d keys", len(keys))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
