package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) domain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domain",
		Short: "Domains of your own, at which sites answer",
		Long: `A custom domain leads to a site's production. One that begins with "*." leads to
its branches and deployments: with *.preview.example.com the branch next is at
next.preview.example.com. The names must resolve to this platform; with tls.mode
acme they get certificates by themselves. Workers have their custom domains in
wrangler.jsonc, see "selvage zone".`,
		Example: `  selvage domain add www.example.com --project docs
  selvage domain list --project docs
  selvage domain retry www.example.com --project docs
  selvage domain delete www.example.com --project docs`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	var project string
	cmd.PersistentFlags().StringVar(&project, "project", "", "the site")
	cmd.AddCommand(a.domainAdd(&project), a.domainList(&project), a.domainRetry(&project), a.domainDelete(&project))
	return cmd
}

func needProject(cmd *cobra.Command, project string) error {
	if project == "" {
		return usage(cmd, errors.New("say which site it is for, with --project"))
	}
	return nil
}

func (a *app) domainAdd(project *string) *cobra.Command {
	return a.domainCommand(project, "add DOMAIN", "Give a site a domain", "  selvage domain add www.example.com --project docs", (*client.Client).AddPagesDomain)
}

func (a *app) domainRetry(project *string) *cobra.Command {
	return a.domainCommand(project, "retry DOMAIN", "Order a domain's certificate again, now", "  selvage domain retry www.example.com --project docs", (*client.Client).RetryPagesDomain)
}

// domainCommand is a command that has a domain as its result.
func (a *app) domainCommand(project *string, use, short, example string, do func(*client.Client, context.Context, string, string) (client.PagesDomain, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needProject(cmd, *project); err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				d, err := do(c, ctx, *project, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(d)
				}
				a.printf("%s: %s\n", printable(d.Name), printable(domainState(&d)))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// domainState is where a domain stands, in words.
func domainState(d *client.PagesDomain) string {
	s := d.Status
	if d.Validation.Error != "" {
		s += ": " + d.Validation.Error
	}
	if d.RetryOn != nil {
		s += fmt.Sprintf(" (tried again at %s)", d.RetryOn.Local().Format(time.TimeOnly))
	}
	return s
}

func (a *app) domainList(project *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the domains of a site and where they stand",
		Example: "  selvage domain list --project docs\n  selvage domain list --project docs --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needProject(cmd, *project); err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.PagesDomains(ctx, *project)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "DOMAIN\tCERTIFICATE ENDS\tSTATE") //nolint:errcheck // Flush tells
				for i := range all {
					ends := "-"
					if all[i].ExpiresOn != nil {
						ends = all[i].ExpiresOn.Format(time.DateOnly)
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", printable(all[i].Name), ends, printable(domainState(&all[i]))) //nolint:errcheck // Flush tells
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) domainDelete(project *string) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "delete DOMAIN",
		Short:   "Take a domain from a site",
		Example: "  selvage domain delete www.example.com --project docs --dry-run\n  selvage domain delete www.example.com --project docs",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needProject(cmd, *project); err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if dryRun {
					a.printf("%s would not lead to the site %s any more. Nothing was changed.\n", printable(args[0]), printable(*project))
					return nil
				}
				if err := c.DeletePagesDomain(ctx, *project, args[0]); err != nil {
					return err
				}
				a.printf("%s does not lead to the site %s any more.\n", printable(args[0]), printable(*project))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would happen and change nothing")
	return cmd
}
