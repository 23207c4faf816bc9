package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/runtimebin"
)

func (a *app) whoami() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "whoami",
		Short:   "Show the account and the token in use",
		Example: "  selvage whoami\n  selvage whoami --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				user, err := c.User(ctx)
				if err != nil {
					return err
				}
				list, err := c.Accounts(ctx)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return errors.New("the token belongs to no account")
				}
				sub, err := c.Subdomain(ctx)
				if err != nil {
					return err
				}
				status, err := c.Verify(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"email": user.Email, "account_id": list[0].ID, "account": list[0].Name, "subdomain": sub, "token": status})
				}
				a.printf("%s, account %q (%s)\nsubdomain %s, token %s (%s)\n", user.Email, list[0].Name, list[0].ID, sub, status.ID, status.Status)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this binary and of its workerd",
		Example: "  selvage version\n  selvage version --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadData()
			if err != nil {
				return err
			}
			v := struct {
				Version       string `json:"version"`
				Commit        string `json:"commit"`
				Go            string `json:"go"`
				Platform      string `json:"platform"`
				Workerd       string `json:"workerd"`
				WorkerdOrigin string `json:"workerd_origin,omitempty"` // embedded, development or override
				WorkerdPath   string `json:"workerd_path,omitempty"`
				WorkerdError  string `json:"workerd_error,omitempty"`
			}{Version: a.Version, Commit: a.Commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			p, err := runtimebin.Describe(cmd.Context(), c.Data, c.Workerd)
			if err != nil {
				v.WorkerdError = err.Error()
			} else {
				v.Workerd, v.WorkerdOrigin, v.WorkerdPath = p.Version, p.Origin, p.Path
			}
			if a.json {
				return a.printJSON(v)
			}
			a.printf("selvage %s (commit %s, %s, %s)\n", v.Version, v.Commit, v.Go, v.Platform)
			if v.WorkerdError != "" {
				a.printf("workerd: %s\n", v.WorkerdError)
				return nil
			}
			a.printf("workerd %s (%s, %s)\n", v.Workerd, v.WorkerdOrigin, v.WorkerdPath)
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) config() *cobra.Command {
	var example bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration and where it comes from",
		Example: `  selvage config --config /etc/selvage/selvage.toml
  selvage config --json
  selvage config --example > selvage.toml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if example {
				a.printf("%s", config.Example(a.getenv))
				return nil
			}
			c, err := a.loadData()
			if err != nil {
				return err
			}
			type entry struct {
				Key    string `json:"key"`
				Value  string `json:"value"`
				Origin string `json:"origin"`
				Env    string `json:"env"`
				Flag   string `json:"flag"`
				Reload bool   `json:"reload"`
			}
			var entries []entry
			for _, o := range config.Options() {
				entries = append(entries, entry{o.Key, o.Get(&c.Config), c.Origins[o.Key], o.Env(), "--" + o.Flag(), o.Reload})
			}
			if a.json {
				return a.printJSON(entries)
			}
			w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "OPTION\tVALUE\tFROM\tVARIABLE") //nolint:errcheck // Flush tells
			for _, e := range entries {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Key, printable(e.Value), e.Origin, e.Env) //nolint:errcheck // Flush tells
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&example, "example", false, "print a commented file with every option at its default")
	return cmd
}
