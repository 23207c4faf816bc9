package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) env() *cobra.Command {
	var fish bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the variables that point wrangler at the platform",
		Long: `Prints the variables that wrangler reads: the API's address, the operator's
token and the account. The output holds the token: do not log it.`,
		Example: `  eval "$(selvage env)"
  selvage env --fish | source
  selvage env --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json && fish {
				return usage(cmd, fmt.Errorf("--json and --fish exclude each other"))
			}
			info, c, err := a.running()
			if err != nil {
				return err
			}
			token, err := operatorToken(c.Data)
			if err != nil {
				return err
			}
			vars := []struct{ name, value string }{
				{"CLOUDFLARE_API_BASE_URL", apiBase(info.Info)},
				{"CLOUDFLARE_API_TOKEN", token},
				{"CLOUDFLARE_ACCOUNT_ID", info.AccountID},
				{"WRANGLER_SEND_METRICS", "false"},
				{"CLOUDFLARE_CF_FETCH_ENABLED", "false"},
			}
			if a.json {
				object := make(map[string]string, len(vars))
				for _, v := range vars {
					object[v.name] = v.value
				}
				return a.printJSON(object)
			}
			for _, v := range vars {
				if fish {
					a.printf("set -gx %s %s\n", v.name, quoteFish(v.value))
				} else {
					a.printf("export %s=%s\n", v.name, quotePOSIX(v.value))
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print a JSON object")
	cmd.Flags().BoolVar(&fish, "fish", false, "print for the fish shell")
	return cmd
}

// printJSON prints v on one line.
func (a *app) printJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	a.printf("%s\n", data)
	return nil
}
