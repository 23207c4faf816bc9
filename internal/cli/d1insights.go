package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) d1Insights() *cobra.Command {
	var q client.D1InsightsQuery
	cmd := &cobra.Command{
		Use:   "insights DATABASE",
		Short: "Show what the statements of a database did, how SQLite runs them, and what would help",
		Long: `Shows how often statements ran, how long, and how many rows they read. Statements that
differ in their values alone count as one. Those that visit all rows of a table are marked, with an index
that SQLite's planner would take, where there is one. Requests that run one statement again and again (N+1)
are listed with worker, route and ray.`,
		Example: `  selvage d1 insights papers
  selvage d1 insights papers --time-period 7d --sort-by reads --limit 10
  selvage d1 insights papers --json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				in, err := c.D1Insights(ctx, args[0], q)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(in)
				}
				return a.printInsights(&in)
			})
		},
	}
	cmd.Flags().StringVar(&q.Period, "time-period", "1d", "how far back: days, hours or minutes, up to 31d")
	cmd.Flags().StringVar(&q.SortBy, "sort-by", "time", "time, reads, writes, returned or count")
	cmd.Flags().StringVar(&q.SortType, "sort-type", "sum", "sum or avg, of all runs or of one")
	cmd.Flags().StringVar(&q.SortDirection, "sort-direction", "DESC", "ASC or DESC")
	cmd.Flags().IntVar(&q.Limit, "limit", 5, "how many statements")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) printInsights(in *client.D1Insights) error {
	if len(in.Statements) == 0 {
		a.note("no statement ran since %s", in.From.Local().Format("2006-01-02 15:04"))
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUNS\tTOTAL MS\tP50\tP95\tP99\tREAD\tRETURNED\tWRITTEN\tSCAN\tSTATEMENT") //nolint:errcheck // Flush tells
	for i := range in.Statements {
		s := &in.Statements[i]
		fmt.Fprintf(w, "%d\t%.1f\t%.2f\t%.2f\t%.2f\t%d\t%d\t%d\t%s\t%s\n", s.Runs, s.TotalMs, s.P50Ms, s.P95Ms, s.P99Ms, //nolint:errcheck // Flush tells
			s.RowsRead, s.RowsReturned, s.RowsWritten, scanOf(s), printable(clipStatement(queryOf(s.Query))))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range in.Statements {
		a.printScan(&in.Statements[i])
	}
	for _, l := range in.Loops {
		route := l.Route
		if route == "" {
			route = "(no route)"
		}
		a.printf("\nN+1: up to %d calls in one request, in %d requests of worker %s, the last %s at %s (ray %s)\n  %s\n",
			l.MostCalls, l.Requests, printable(l.Worker), printable(route), l.LastAt.Local().Format("2006-01-02 15:04:05"), printable(l.Ray), printable(l.Query))
	}
	return nil
}

// scanOf is "full" for a statement that visits all rows of something.
func scanOf(s *client.D1Statement) string {
	if hasScan(s.Plan) {
		return "full"
	}
	return "-"
}

func hasScan(plan []client.D1PlanStep) bool {
	for _, p := range plan {
		if p.FullScan {
			return true
		}
	}
	return false
}

// printScan shows the plan of a statement that visits all rows of something, or that an index
// would help.
func (a *app) printScan(s *client.D1Statement) {
	if s.Proposal == nil && !hasScan(s.Plan) {
		return
	}
	a.printf("\n%s\n", printable(queryOf(s.Query)))
	a.printPlan(s.Plan)
	if s.Runs > 0 && s.RowsRead > 0 {
		a.printf("  reads %d rows a run to return %d\n", s.RowsRead/s.Runs, s.RowsReturned/s.Runs)
	}
	if s.Proposal != nil {
		a.printf("  with %s\n", printable(s.Proposal.SQL))
		a.printPlan(s.Proposal.Plan)
	}
}

func (a *app) printPlan(plan []client.D1PlanStep) {
	for _, p := range plan {
		mark := ""
		if p.FullScan {
			mark = "  <- all rows"
		}
		a.printf("  %s%s%s\n", strings.Repeat("  ", p.Depth+1), printable(p.Detail), mark)
	}
}

func queryOf(q string) string {
	if q == "" {
		return "(other statements)"
	}
	return q
}

// clipStatement cuts a statement to what fits beside the numbers.
func clipStatement(s string) string {
	const width = 100
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
