package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/server"
)

// operator is the name of the token that the first start makes.
const operator = "operator"

func (a *app) token() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list, renew and end API tokens",
		Example: `  selvage token create ci --scope workers:write --expires 720h
  selvage token list
  selvage token roll operator`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRoll(), a.tokenRevoke())
	return cmd
}

func (a *app) tokenCreate() *cobra.Command {
	var scopes []string
	var expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token; its secret is shown this once",
		Long: `Makes a token and prints its secret, which is stored nowhere. Scopes are *,
account:read, workers:read, workers:write, zones:write, kv:read, kv:write, tokens:read,
tokens:write, logs:read and platform:read; a :write includes its :read.`,
		Example: `  selvage token create ci --scope workers:write --expires 720h
  selvage token create grafana --scope platform:read --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(scopes) == 0 {
				return usage(cmd, errors.New("a token needs at least one --scope; --scope '*' allows everything"))
			}
			until, err := parseExpires(expires, time.Now())
			if err != nil {
				return usage(cmd, err)
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				t, err := c.CreateToken(ctx, args[0], scopes, until)
				if err != nil {
					return err
				}
				return a.showSecret(t)
			})
		},
	}
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "what the token may do; may be given again")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a time (2006-01-02T15:04:05Z) or a duration (720h); default never")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func parseExpires(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		t := now.Add(d).UTC().Truncate(time.Second)
		return &t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !t.After(now) {
		return nil, fmt.Errorf("--expires %q is not valid; want a time to come such as 2030-01-02T15:04:05Z, or a duration such as 720h", text)
	}
	return &t, nil
}

func (a *app) tokenList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens",
		Example: "  selvage token list\n  selvage token list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				tokens, err := c.Tokens(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(tokens)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tNAME\tSCOPES\tCREATED\tEXPIRES\tLAST USED") //nolint:errcheck // Flush tells
				for _, t := range tokens {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, printable(t.Name), strings.Join(t.Scopes, ","), //nolint:errcheck // Flush tells
						day(&t.CreatedOn), day(t.ExpiresOn), day(t.LastUsedOn))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (a *app) tokenRoll() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "roll ID|NAME",
		Short: "Give a token a new secret; the old one ends at once",
		Long: `Gives a token a new secret. The operator's goes to the file operator-token in
the data directory; "selvage token roll operator" works while the platform is
stopped too, and when that file is gone.`,
		Example: "  selvage token roll ci\n  selvage token roll operator",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == operator {
				return a.rollOperator(cmd.Context())
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				t, err := findToken(ctx, c, args[0])
				if err != nil {
					return err
				}
				rolled, err := c.RollToken(ctx, t.ID)
				if err != nil {
					return err
				}
				return a.showSecret(rolled)
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// rollOperator asks the platform when one runs and still takes the token in
// the file; else it needs the data directory for itself.
func (a *app) rollOperator(ctx context.Context) error {
	cfg, err := a.loadData()
	if err != nil {
		return err
	}
	secret, err := server.RollOperatorToken(ctx, cfg.Data)
	if _, ok := errors.AsType[*server.RunningError](err); ok {
		secret, err = a.rollRunning(ctx)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"name": operator, "secret": secret})
	}
	a.printf("The operator has a new token, in %s. The old one has ended.\nShells that have run \"selvage env\" need to run it again.\n", server.OperatorTokenFile(cfg.Data))
	return nil
}

func (a *app) rollRunning(ctx context.Context) (secret string, err error) {
	// The file with the operator's token is in the data directory, so its platform is meant.
	err = a.callLocal(ctx, func(ctx context.Context, c *client.Client) error {
		t, err := findToken(ctx, c, operator)
		if err != nil {
			return err
		}
		rolled, err := c.RollToken(ctx, t.ID)
		secret = rolled.Secret
		return err
	})
	if err != nil {
		return "", fmt.Errorf("the platform runs and this needs a valid token, which is not there; stop the platform, then run this again: %w", err)
	}
	return secret, nil
}

func (a *app) tokenRevoke() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "revoke ID|NAME",
		Short:   "End a token for good",
		Example: "  selvage token revoke ci\n  selvage token revoke 0123456789abcdef0123456789abcdef",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				t, err := findToken(ctx, c, args[0])
				if err != nil {
					return err
				}
				if t.Name == operator && !yes && !a.confirm("This is the operator's token: without it \"selvage env\", status and logs stop working until \"selvage token roll operator\". Revoke it?") {
					return errors.New("nothing was revoked; say --yes to revoke the operator's token")
				}
				if err := c.RevokeToken(ctx, t.ID); err != nil {
					return err
				}
				a.note("revoked %s (%s)", printable(t.Name), t.ID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before revoking the operator's token")
	return cmd
}

// confirm asks a question that only "y" or "yes" answers.
func (a *app) confirm(question string) bool {
	fmt.Fprintf(a.Stderr, "%s [y/N] ", question) //nolint:errcheck // nowhere else to tell
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil {
		fmt.Fprintln(a.Stderr) //nolint:errcheck // as above
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// findToken finds a token by id, or by a name that only one has.
func findToken(ctx context.Context, c *client.Client, key string) (client.Token, error) {
	tokens, err := c.Tokens(ctx)
	if err != nil {
		return client.Token{}, err
	}
	var found []client.Token
	for _, t := range tokens {
		if t.ID == key {
			return t, nil
		}
		if t.Name == key {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return client.Token{}, fmt.Errorf("no token has the id or name %q; \"selvage token list\" shows them", key)
	case 1:
		return found[0], nil
	}
	return client.Token{}, fmt.Errorf("%d tokens have the name %q; give the id, which \"selvage token list\" shows", len(found), key)
}

// showSecret prints the secret alone on stdout, so that it can be piped.
func (a *app) showSecret(t client.NewToken) error {
	if a.json {
		return a.printJSON(t)
	}
	a.note("token %s (%s); the secret is shown this once", printable(t.Name), t.ID)
	a.printf("%s\n", t.Secret)
	return nil
}

// call gives fn a client and bounds it.
func (a *app) call(ctx context.Context, fn func(context.Context, *client.Client) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	return bounded(ctx, c, fn)
}

// callLocal is call for the platform on the data directory.
func (a *app) callLocal(ctx context.Context, fn func(context.Context, *client.Client) error) error {
	c, err := a.connectLocal()
	if err != nil {
		return err
	}
	return bounded(ctx, c, fn)
}

// bounded closes c after fn.
func bounded(ctx context.Context, c *client.Client, fn func(context.Context, *client.Client) error) error {
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return fn(ctx, c)
}
