package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// maxKVPage is how many keys one call lists.
const maxKVPage = 1000

func (a *app) kvKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Put, get, list and delete keys",
		Example: "  selvage kv key list sessions --prefix user:",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(a.kvPut(), a.kvGet(), a.kvKeys(), a.kvRemove())
	return cmd
}

func (a *app) kvPut() *cobra.Command {
	var path, metadata string
	var o client.KVPutOptions
	cmd := &cobra.Command{
		Use:   "put NAMESPACE KEY [VALUE]",
		Short: "Store a value, given as an argument, in a file or on standard input",
		Example: `  selvage kv key put sessions greeting hello --ttl 3600
  selvage kv key put assets logo --path logo.png --metadata '{"type":"image/png"}'
  date | selvage kv key put sessions now`,
		Args: twoArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if path != "" && len(args) == 3 {
				return usage(cmd, errors.New("give the value as an argument or by --path, not both"))
			}
			if metadata != "" {
				if !json.Valid([]byte(metadata)) {
					return usage(cmd, errors.New("--metadata is not JSON"))
				}
				o.Metadata = json.RawMessage(metadata)
			}
			body, length, err := a.kvBody(path, args[2:])
			if err != nil {
				return err
			}
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				return c.KVPut(ctx, id, args[1], body, length, o)
			})
		},
	}
	cmd.Flags().StringVar(&path, "path", "", "file that holds the value")
	cmd.Flags().StringVar(&metadata, "metadata", "", "JSON to keep with the key, at most 1,024 bytes")
	cmd.Flags().Int64Var(&o.ExpirationTTL, "ttl", 0, "seconds after which the key expires, at least 60")
	cmd.Flags().Int64Var(&o.Expiration, "expiration", 0, "when the key expires, in seconds since 1970")
	return cmd
}

// kvBody opens a value: of a file, of an argument or of standard input.
func (a *app) kvBody(path string, args []string) (open func() (io.ReadCloser, error), length int64, err error) {
	const maxValue = 25 << 20
	if path != "" {
		info, err := os.Stat(path)
		if err != nil {
			return nil, 0, err
		}
		return func() (io.ReadCloser, error) { return os.Open(path) }, info.Size(), nil //nolint:gosec // the user's file
	}
	var value []byte
	if len(args) > 0 {
		value = []byte(args[0])
	} else if value, err = io.ReadAll(io.LimitReader(a.Stdin, maxValue+1)); err != nil {
		return nil, 0, fmt.Errorf("read the value from standard input: %w", err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(value)), nil }, int64(len(value)), nil
}

func (a *app) kvGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get NAMESPACE KEY",
		Short: "Write the value of a key to standard output, as it is",
		Example: `  selvage kv key get sessions greeting
  selvage kv key get assets logo > logo.png`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				body, err := c.KVGet(ctx, id, args[1])
				if err != nil {
					return err
				}
				defer body.Close() //nolint:errcheck // only read
				if !telemetry.IsTerminal(a.Stdout) {
					_, err = io.Copy(a.Stdout, body)
					return err
				}
				value, err := io.ReadAll(body)
				if err != nil {
					return err
				}
				// Whoever wrote the value must not write to the terminal.
				if bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\ufffd' }) {
					return errors.New("the value is not plain text; write it to a file: … > FILE")
				}
				a.printf("%s\n", bytes.TrimSuffix(value, []byte("\n")))
				return nil
			})
		},
	}
}

func (a *app) kvKeys() *cobra.Command {
	var prefix string
	limit := 0
	cmd := &cobra.Command{
		Use:   "list NAMESPACE",
		Short: "List keys in the order of their bytes",
		Example: `  selvage kv key list sessions
  selvage kv key list sessions --prefix user: --limit 20 --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usage(cmd, fmt.Errorf("--limit %d is below zero; leave it out for all keys", limit))
			}
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				keys, err := listKeys(ctx, c, id, prefix, limit)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(keys)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KEY\tEXPIRES\tMETADATA") //nolint:errcheck // Flush tells
				for _, k := range keys {
					expires := "never"
					if k.Expiration != 0 {
						expires = time.Unix(k.Expiration, 0).Local().Format("2006-01-02 15:04:05")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", printable(k.Name), expires, printable(string(k.Metadata))) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many keys; 0 for all")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// listKeys reads page after page, up to limit keys (0: all).
func listKeys(ctx context.Context, c *client.Client, id, prefix string, limit int) ([]client.KVKey, error) {
	keys := []client.KVKey{}
	for cursor := ""; ; {
		page := maxKVPage
		if limit > 0 {
			page = min(page, limit-len(keys))
		}
		some, next, err := c.KVKeys(ctx, id, prefix, cursor, page)
		if err != nil {
			return nil, err
		}
		keys = append(keys, some...)
		if cursor = next; cursor == "" || len(keys) == limit && limit > 0 {
			return keys, nil
		}
	}
}

func (a *app) kvRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAMESPACE KEY...",
		Short: "Delete keys; one that is not there is no error",
		Example: `  selvage kv key delete sessions greeting
  selvage kv key delete sessions a b c`,
		Args: twoArgs(maxKVPage),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvOn(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, id string) error {
				return c.DeleteKVBulk(ctx, id, args[1:])
			})
		},
	}
}

// readJSONFile decodes a file, "-" for standard input.
func (a *app) readJSONFile(path string, into any) error {
	r := a.Stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the user's file
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
