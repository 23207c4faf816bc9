package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/config"
)

func (a *app) egress() *cobra.Command {
	var allow []string
	var none bool
	cmd := &cobra.Command{
		Use:   "egress WORKER",
		Short: "Show or set which private networks a worker may reach",
		Long: `Without a flag, shows what a worker may reach besides public addresses. --allow
replaces that list; it may be given several times. Requests in flight end under the
old rules.`,
		Example: `  selvage egress links
  selvage egress links --allow 10.2.3.4:5432 --allow '[fd00::/8]:8000-8100'
  selvage egress links --clear`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			rules := []client.EgressRule{}
			for _, text := range allow {
				r, ok := config.ParseEgressRule(text)
				if !ok {
					return usage(cmd, fmt.Errorf("%q is no network; want one such as 10.1.0.0/16, 10.2.3.4:5432 or [fd00::/8]:8000-8100", text))
				}
				rules = append(rules, client.EgressRule{Prefix: r.Prefix.String(), FromPort: r.FromPort, ToPort: r.ToPort})
			}
			if none && len(allow) > 0 {
				return usage(cmd, errors.New("--clear and --allow exclude each other"))
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if none || len(allow) > 0 {
					if err := c.SetEgress(ctx, args[0], rules); err != nil {
						return err
					}
				}
				rules, err := c.Egress(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(rules)
				}
				if len(rules) == 0 {
					a.printf("%s reaches public addresses only\n", args[0])
				}
				for _, r := range rules {
					prefix, err := netip.ParsePrefix(r.Prefix)
					if err != nil {
						return fmt.Errorf("the API gave a rule that is none: %w", err)
					}
					a.printf("%s\n", config.EgressRule{Prefix: prefix, FromPort: r.FromPort, ToPort: r.ToPort})
				}
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&allow, "allow", nil, "a network, with ports after a colon where not all")
	cmd.Flags().BoolVar(&none, "clear", false, "allow public addresses only")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}
