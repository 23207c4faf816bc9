package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) aiUsage() *cobra.Command {
	var from, to, by string
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show what models were used for, and what it would have cost",
		Long: `Shows requests, tokens and neurons of this month, or of other days (UTC). WOULD COST is
what the original platform takes for the neurons at its published price, its free allocation
not taken off; "~" marks models without a published price, which count as a usual one of
their kind.`,
		Example: "  selvage ai usage\n  selvage ai usage --from 2026-11-01 --to 2026-11-07 --by day\n  selvage ai usage --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"model", "worker", "day"}, by) {
				return usage(cmd, fmt.Errorf("--by is %q; want model, worker or day", by))
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				rows, err := c.AIUsage(ctx, from, to)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(rows)
				}
				return a.printUsage(rows, by)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the first day; the first of this month otherwise")
	cmd.Flags().StringVar(&to, "to", "", "the last day; today otherwise")
	cmd.Flags().StringVar(&by, "by", "model", "what makes a line: model, worker (or token) or day")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// printUsage prints one line for each model, worker or day, and a last one for all.
func (a *app) printUsage(rows []client.AIUsage, by string) error {
	sums := map[string]*client.AIUsage{}
	total := client.AIUsage{}
	var names []string
	for i := range rows {
		r := &rows[i]
		name := map[string]string{"model": r.Model, "worker": r.Subject, "day": r.Day}[by]
		if sums[name] == nil {
			sums[name] = &client.AIUsage{}
			names = append(names, name)
		}
		for _, sum := range []*client.AIUsage{sums[name], &total} {
			sum.Requests += r.Requests
			sum.Failed += r.Failed
			sum.TokensIn += r.TokensIn
			sum.TokensOut += r.TokensOut
			sum.Neurons += r.Neurons
			sum.Dollars += r.Dollars
			sum.Assumed = sum.Assumed || r.Assumed
		}
	}
	slices.Sort(names)
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tREQUESTS\tFAILED\tTOKENS IN\tTOKENS OUT\tNEURONS\tWOULD COST\n", strings.ToUpper(by)) //nolint:errcheck // Flush tells
	line := func(name string, u *client.AIUsage) {
		about := ""
		if u.Assumed {
			about = "~"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s%.2f\t%s$%.4f\n", printable(name), u.Requests, u.Failed, u.TokensIn, u.TokensOut, about, u.Neurons, about, u.Dollars) //nolint:errcheck // Flush tells
	}
	for _, name := range names {
		line(name, sums[name])
	}
	line("all", &total)
	return w.Flush()
}

func (a *app) aiLimit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limit",
		Short: "Bound what models may be used for",
		Long: `Limits count for the account, for a worker, or for an API token. What does not fit is
refused with 429 before it runs.`,
		Example: `  selvage ai limit set account --neurons-per-day 10000
  selvage ai limit set worker:'*' --requests-per-minute 60 --input-bytes 100000
  selvage ai limit list`,
		RunE: group,
	}
	cmd.AddCommand(a.aiLimitList(), a.aiLimitSet(), a.aiLimitRemove())
	return cmd
}

func (a *app) aiLimitList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show limits, and what is used of them",
		Example: "  selvage ai limit list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				all, err := c.AILimits(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(all)
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "WHO\tWHAT\tPER\tLIMIT\tUSED") //nolint:errcheck // Flush tells
				for i := range all {
					printLimits(w, &all[i])
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func printLimits(w *tabwriter.Writer, l *client.AILimited) {
	if l.Limits == (client.AILimits{}) {
		fmt.Fprintf(w, "%s\tno limits\t\t\t\n", printable(l.Subject)) //nolint:errcheck // Flush tells
		return
	}
	if l.Limits.InputBytes > 0 {
		fmt.Fprintf(w, "%s\tinput bytes\trequest\t%d\t\n", printable(l.Subject), l.Limits.InputBytes) //nolint:errcheck // Flush tells
	}
	for _, what := range []string{"requests", "tokens", "neurons"} {
		per := map[string]client.AIPer{"requests": l.Limits.Requests, "tokens": l.Limits.Tokens, "neurons": l.Limits.Neurons}[what]
		for _, span := range []string{"minute", "day", "month"} {
			limit := map[string]int64{"minute": per.Minute, "day": per.Day, "month": per.Month}[span]
			if limit == 0 {
				continue
			}
			u := l.Used[span]
			used := map[string]string{"requests": strconv.FormatInt(u.Requests, 10), "tokens": strconv.FormatInt(u.TokensIn+u.TokensOut, 10), "neurons": strconv.FormatFloat(u.Neurons, 'f', 2, 64)}[what]
			if strings.HasSuffix(l.Subject, ":*") {
				used = "each by itself"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", printable(l.Subject), what, span, limit, used) //nolint:errcheck // Flush tells
		}
	}
}

func (a *app) aiLimitSet() *cobra.Command {
	var l client.AILimits
	cmd := &cobra.Command{
		Use:   "set WHO",
		Short: "Set the limits of the account, a worker or a token",
		Long: `WHO is account, worker:NAME or token:ID; worker:* and token:* stand for each one that has
no limits of its own. What is not given is not limited.`,
		Example: `  selvage ai limit set account --neurons-per-day 10000 --warn 90
  selvage ai limit set worker:shop --tokens-per-minute 20000 --requests-per-day 5000`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if l == (client.AILimits{}) {
				return usage(cmd, errors.New("no limit is given; \"selvage ai limit remove\" removes all"))
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.SetAILimits(ctx, args[0], l); err != nil {
					return err
				}
				a.note("limits of %s are set", printable(args[0]))
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.Int64Var(&l.InputBytes, "input-bytes", 0, "bytes of the inputs of one request")
	for _, what := range []struct {
		name string
		per  *client.AIPer
	}{{"requests", &l.Requests}, {"tokens", &l.Tokens}, {"neurons", &l.Neurons}} {
		f.Int64Var(&what.per.Minute, what.name+"-per-minute", 0, what.name+" in a minute")
		f.Int64Var(&what.per.Day, what.name+"-per-day", 0, what.name+" in a day (UTC)")
		f.Int64Var(&what.per.Month, what.name+"-per-month", 0, what.name+" in a month (UTC)")
	}
	f.IntVar(&l.WarnPercent, "warn", 0, "percent of a day's or month's limit at which the platform's log warns; 80 otherwise")
	return cmd
}

func (a *app) aiLimitRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove WHO",
		Short:   "Remove the limits of the account, a worker or a token",
		Example: "  selvage ai limit remove worker:shop --yes",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !a.confirm(fmt.Sprintf("Remove all limits of %s?", printable(args[0]))) {
				return errors.New("nothing was removed; say --yes to remove without being asked")
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.RemoveAILimits(ctx, args[0]); err != nil {
					return err
				}
				a.note("%s has no limits", printable(args[0]))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
