package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/selvage-dev/selvage/client"
)

// Bounds of what is read, in bytes. The platform takes less.
const (
	maxSecret  = 1 << 20
	maxSecrets = 8 << 20
)

func (a *app) secret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Set, list and delete the secrets of a worker",
		Long: `Secrets are values that a worker finds in its environment and nobody can read back.
Setting or deleting one makes a new version, which is live at once.`,
		Example: `  selvage secret put TOKEN < token.txt
  selvage secret bulk secrets.json
  selvage secret delete TOKEN`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.secretPut(), a.secretList(), a.secretDelete(), a.secretBulk())
	return cmd
}

func (a *app) secretPut() *cobra.Command {
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Set a secret; its value comes from standard input or a prompt",
		Long: `Sets a secret. The value is read from standard input, without the line end that
ends it, or asked for at a terminal, where it is not shown.`,
		Example: "  selvage secret put TOKEN\n  openssl rand -hex 32 | selvage secret put TOKEN",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			worker, err := a.worker(f)
			if err != nil {
				return err
			}
			value, err := a.readSecret(args[0])
			if err != nil {
				return err
			}
			f.name = worker
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				if err := c.PutSecret(ctx, worker, args[0], value); err != nil {
					return err
				}
				a.note("%s of %s is set", printable(args[0]), worker)
				return nil
			})
		},
	}
	f.add(a, cmd)
	return cmd
}

// readSecret reads a value from a prompt without echo, or else from standard input.
func (a *app) readSecret(name string) (string, error) {
	if tty, ok := a.Stdin.(*os.File); ok && term.IsTerminal(int(tty.Fd())) {
		fmt.Fprintf(a.Stderr, "value of %s: ", printable(name)) //nolint:errcheck // nowhere else to tell
		text, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(a.Stderr) //nolint:errcheck // as above
		if err != nil {
			return "", fmt.Errorf("read the value: %w", err)
		}
		return string(text), nil
	}
	text, err := readBounded(a.Stdin, maxSecret)
	if err != nil {
		return "", fmt.Errorf("read the value from standard input: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", errors.New("the value is empty; give it on standard input")
	}
	return value, nil
}

func readBounded(r io.Reader, limit int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text, err
}

func (a *app) secretList() *cobra.Command {
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the names of a worker's secrets",
		Example: "  selvage secret list --name links",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				list, err := c.Secrets(ctx, worker)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(list)
				}
				for _, s := range list {
					a.printf("%s\n", printable(s.Name))
				}
				return nil
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) secretDelete() *cobra.Command {
	f := &projectFlags{}
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a secret",
		Example: "  selvage secret delete TOKEN --yes",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			worker, err := a.worker(f)
			if err != nil {
				return err
			}
			if !yes && !a.confirm(fmt.Sprintf("Delete the secret %s of %s?", printable(args[0]), worker)) {
				return errors.New("nothing was deleted; --yes deletes without asking")
			}
			f.name = worker
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				if err := c.DeleteSecret(ctx, worker, args[0]); err != nil {
					return err
				}
				a.note("%s of %s is deleted", printable(args[0]), worker)
				return nil
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) secretBulk() *cobra.Command {
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use:   "bulk [FILE]",
		Short: "Set several secrets at once",
		Long: `Sets secrets from a file, or standard input: a JSON object of names and values, where
null deletes, or lines of the form NAME=value as in a .env file. All change in one
step.`,
		Example: "  selvage secret bulk secrets.json\n  selvage secret bulk < .env.production",
		Args:    atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var text []byte
			var err error
			if len(args) == 1 {
				var file *os.File
				if file, err = os.Open(args[0]); err != nil {
					return err
				}
				defer file.Close() //nolint:errcheck // only read
				text, err = readBounded(file, maxSecrets)
			} else {
				text, err = readBounded(a.Stdin, maxSecrets)
			}
			if err != nil {
				return fmt.Errorf("read the secrets: %w", err)
			}
			secrets, err := parseSecrets(text)
			if err != nil {
				return err
			}
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				if _, err := c.PatchSecrets(ctx, worker, secrets); err != nil {
					return err
				}
				a.note("%d secrets of %s are set: %s", len(secrets), worker, printable(strings.Join(slices.Sorted(maps.Keys(secrets)), ", ")))
				return nil
			})
		},
	}
	f.add(a, cmd)
	return cmd
}

// parseSecrets reads names and values; a nil value deletes. No error shows a value.
func parseSecrets(text []byte) (map[string]*string, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		var out map[string]*string
		if json.Unmarshal(trimmed, &out) != nil {
			return nil, errors.New("the secrets are not a JSON object whose values are strings or null")
		}
		if len(out) == 0 {
			return nil, errors.New("there is no secret in the object")
		}
		return out, nil
	}
	out := map[string]*string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxSecret)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("line %d of the secrets is not of the form NAME=value", n)
		}
		value = unquote(strings.TrimSpace(value))
		out[name] = &value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the secrets: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no secret in the input")
	}
	return out, nil
}

// unquote takes the quotes off a value in the form of a .env file.
func unquote(value string) string {
	if len(value) < 2 || value[0] != value[len(value)-1] { //nolint:mnd // two quotes
		return value
	}
	inner := value[1 : len(value)-1]
	switch value[0] {
	case '\'', '`':
		return inner
	case '"':
		return strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`).Replace(inner)
	}
	return value
}
