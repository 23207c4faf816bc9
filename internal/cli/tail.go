package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

type tailFlags struct {
	status, method, ip      []string
	header, search, version string
	rate                    float64
}

func (a *app) tail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail WORKER",
		Short: "Watch what a worker does, as it does it",
		Long: `Shows each request, cron trigger and batch of a worker when it has ended, with what
it printed and threw, until it is interrupted. The filters are those of "wrangler tail".
What was before is in "selvage logs".`,
		Example: `  selvage tail links
  selvage tail links --status error --json
  selvage tail links --method POST --header 'x-tenant: a' --ip self
  selvage tail links --search timeout --sampling-rate 0.1`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(cmd.Flags().Changed("sampling-rate"))
			if err != nil {
				return usage(cmd, err)
			}
			return a.showTail(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, opened func(), yield func(client.TailItem) bool) error {
				return c.Tail(ctx, args[0], filter, opened, yield)
			})
		},
	}
	f.register(a, cmd)
	cmd.Flags().StringVar(&f.version, "version-id", "", "only this version")
	return cmd
}

// register adds the flags that all tails have.
func (f *tailFlags) register(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.status, "status", nil, "only those that ended so: ok, error, canceled")
	flags.StringSliceVar(&f.method, "method", nil, "only requests with this method")
	flags.StringVar(&f.header, "header", "", "only requests with this header, with a text after a colon if that must be in it")
	flags.StringSliceVar(&f.ip, "ip", nil, "only requests from this address; self is your own")
	flags.StringVar(&f.search, "search", "", "only what printed or threw this text")
	flags.Float64Var(&f.rate, "sampling-rate", 1, "show this share of what matches")
	flags.BoolVar(&a.json, "json", false, "print one JSON object a line")
}

func (f *tailFlags) filter(sampled bool) (client.TailFilter, error) { //nolint:revive // a flag that was given or not
	out := client.TailFilter{Methods: f.method, ClientIPs: f.ip, Query: f.search, Version: f.version}
	for _, s := range f.status {
		switch s {
		case "ok", "canceled":
			out.Outcomes = append(out.Outcomes, s)
		case "error":
			out.Outcomes = append(out.Outcomes, "exception", "exceededCpu", "exceededMemory", "exceededWallTime", "unknown")
		default:
			return out, fmt.Errorf("--status %q is none; want ok, error or canceled", s)
		}
	}
	if f.header != "" {
		key, query, _ := strings.Cut(f.header, ":")
		out.HeaderKey, out.HeaderQuery = strings.TrimSpace(key), strings.TrimSpace(query)
	}
	if sampled {
		if f.rate <= 0 || f.rate > 1 {
			return out, fmt.Errorf("--sampling-rate %v is not valid; want a number above 0 and at most 1", f.rate)
		}
		out.SamplingRate = f.rate
	}
	return out, nil
}

// showTail shows what follow yields of something.
func (a *app) showTail(ctx context.Context, of string, follow func(ctx context.Context, c *client.Client, opened func(), yield func(client.TailItem) bool) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	colour := paint{on: telemetry.IsTerminal(a.Stdout) && a.getenv("NO_COLOR") == ""}
	opened := func() {
		if !a.json {
			a.note("connected to %s, waiting for events", of)
		}
	}
	err = follow(ctx, c, opened, func(it client.TailItem) bool {
		if a.json {
			a.printf("%s\n", it.Raw)
		} else {
			a.printf("%s\n", itemText(&it, colour))
		}
		return true
	})
	if errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil {
		return errors.New("the tail has ended: it expired, or the platform has stopped")
	}
	return err
}

// itemText is an item for a person: what it was and how it ended, then what it said.
func itemText(it *client.TailItem, p paint) string {
	var b strings.Builder
	if it.Event.Type != "" {
		return p.in(yellow, printable(it.Event.Message))
	}
	b.WriteString(p.in(grey, it.Time().Local().Format("15:04:05.000")) + " " + printable(what(it)) + " ")
	b.WriteString(p.in(outcomeColour(it.Outcome), printable(it.Outcome)))
	fmt.Fprintf(&b, " %d ms", it.WallTime)
	if it.Event.RayID != "" {
		b.WriteString(" " + p.in(grey, printable(it.Event.RayID)))
	}
	for _, l := range it.Logs {
		parts := make([]string, len(l.Message))
		for i, m := range l.Message {
			parts[i] = argText(m)
		}
		b.WriteString("\n  " + p.in(levelColour(l.Level), "("+printable(l.Level)+")") + " " + indent(printable(strings.Join(parts, " "))))
	}
	for _, e := range it.Exceptions {
		b.WriteString("\n  " + p.in(red, printable(e.Name+": "+e.Message)))
		if e.Stack != "" {
			b.WriteString("\n" + indent("    "+printable(strings.TrimSpace(e.Stack))))
		}
	}
	if it.Truncated {
		b.WriteString("\n  " + p.in(yellow, "(what more it said is left out)"))
	}
	return b.String()
}

func what(it *client.TailItem) string {
	e := &it.Event
	switch {
	case e.Request != nil:
		text := e.Request.Method + " " + e.Request.URL
		if e.Response != nil {
			text += fmt.Sprintf(" %d", e.Response.Status)
		}
		return text
	case e.Cron != "":
		return fmt.Sprintf("%q of %s", e.Cron, e.ScheduledTime.UTC().Format(time.RFC3339))
	case e.RPCMethod != "":
		return "call of " + it.Entrypoint + "." + e.RPCMethod
	case e.ConsumedEvents != nil:
		var names []string
		for _, c := range e.ConsumedEvents {
			names = append(names, c.ScriptName)
		}
		slices.Sort(names)
		return fmt.Sprintf("%d events of %s", len(e.ConsumedEvents), strings.Join(slices.Compact(names), ", "))
	case !e.ScheduledTime.IsZero():
		return it.Entrypoint + ": alarm of " + e.ScheduledTime.UTC().Format(time.RFC3339)
	}
	return "event"
}

// argText is one argument of console: a text as it is, anything else as JSON.
func argText(m json.RawMessage) string {
	var s string
	if json.Unmarshal(m, &s) == nil {
		return s
	}
	return string(m)
}

func outcomeColour(outcome string) string {
	switch outcome {
	case telemetry.OutcomeOK:
		return cyan
	case telemetry.OutcomeCanceled:
		return yellow
	}
	return red
}
