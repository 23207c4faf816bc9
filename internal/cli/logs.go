package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// followFirst is how many past events "logs --follow" begins with.
const followFirst = 10

type logsFlags struct {
	follow            bool
	worker, version   string
	level, kind, text string
	since, until      string
	limit             int
}

func (a *app) logs() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs [RAY]",
		Short: "Show requests, console output and exceptions",
		Long: `Shows the newest events of the platform's log, the newest last. With a RAY, the
CF-Ray of an answer, shows all that belongs to that request.`,
		Example: `  selvage logs --follow
  selvage logs 8f3a9c0d1e2f4a5b
  selvage logs --worker links --level warn --since 1h
  selvage logs --worker links --version-id 1c9f2b3a-… --text timeout --until 2026-11-24T18:00:00Z
  selvage logs --kind access --limit 1000 --json`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(args, time.Now())
			if err != nil {
				return usage(cmd, err)
			}
			return a.showLogs(cmd.Context(), f, filter)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on as events come")
	flags.BoolVar(&a.json, "json", false, "print one JSON object a line")
	flags.StringVar(&f.worker, "worker", "", "only this worker's")
	flags.StringVar(&f.version, "version-id", "", "only this version's")
	flags.StringVar(&f.text, "text", "", "only those with this text in message, stack or path, whatever the case")
	flags.StringVar(&f.level, "level", "", "only this level and those more severe: debug, info, warn, error")
	flags.StringVar(&f.since, "since", "", "only since a time (2006-01-02T15:04:05Z) or for a duration (90m)")
	flags.StringVar(&f.until, "until", "", "only before a time, or before a duration ago")
	flags.StringVar(&f.kind, "kind", "", "only access, console, exception, scheduled, runtime or platform events")
	flags.IntVar(&f.limit, "limit", 0, "at most so many, the newest (default: 1000, with --follow 10)")
	return cmd
}

func (f *logsFlags) filter(args []string, now time.Time) (client.LogFilter, error) {
	out := client.LogFilter{Script: f.worker, Version: f.version, Level: f.level, Kind: f.kind, Text: f.text, Limit: f.limit}
	if len(args) == 1 {
		// The field may have the place after a dash, as elsewhere.
		out.Ray, _, _ = strings.Cut(strings.ToLower(args[0]), "-")
	}
	if levels := []string{"", telemetry.LevelDebug, telemetry.LevelInfo, telemetry.LevelWarn, telemetry.LevelError}; !slices.Contains(levels, f.level) {
		return out, fmt.Errorf("--level %q is none; want debug, info, warn or error", f.level)
	}
	if kinds := []string{
		"", telemetry.KindAccess, telemetry.KindConsole, telemetry.KindException, telemetry.KindScheduled, telemetry.KindRuntime, telemetry.KindPlatform,
	}; !slices.Contains(kinds, f.kind) {
		return out, fmt.Errorf("--kind %q is none; want access, console, exception, scheduled, runtime or platform", f.kind)
	}
	if f.limit < 0 || f.limit > telemetry.MaxLimit {
		return out, fmt.Errorf("--limit %d is not valid; want a number from 1 to %d", f.limit, telemetry.MaxLimit)
	}
	if f.follow && f.until != "" {
		return out, errors.New("--until and --follow exclude each other")
	}
	var err error
	if out.Since, err = moment("--since", f.since, now); err != nil {
		return out, err
	}
	out.Until, err = moment("--until", f.until, now)
	return out, err
}

// moment reads a time, or how long ago it was; nothing is the zero time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s %q is not valid; want a time such as 2006-01-02T15:04:05Z or a duration such as 90m", flag, text)
	}
	return t, nil
}

func (a *app) showLogs(ctx context.Context, f logsFlags, filter client.LogFilter) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	colour := telemetry.IsTerminal(a.Stdout) && a.getenv("NO_COLOR") == ""
	show := func(e client.Event) error {
		if a.json {
			return a.printJSON(e)
		}
		a.printf("%s\n", eventLine(e, paint{on: colour}))
		return nil
	}
	if f.follow {
		if filter.Limit == 0 && filter.Since.IsZero() {
			filter.Limit = followFirst
		}
		var failed error
		err := c.FollowLogs(ctx, filter, func(e client.Event) bool {
			failed = show(e)
			return failed == nil
		})
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil:
			return errors.New("the platform has stopped; \"selvage logs --follow\" goes on when it runs again")
		case err != nil && ctx.Err() == nil:
			return err
		}
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	events, err := c.Logs(ctx, filter)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := show(e); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		if filter.Ray != "" {
			return fmt.Errorf("no event has the ray %s; the log keeps a bounded time and size (log.max_age, log.max_size)", filter.Ray)
		}
		a.note("no event matches")
	}
	return nil
}

// paint colours text for a terminal, or does not.
type paint struct{ on bool }

const (
	red    = "31"
	yellow = "33"
	cyan   = "36"
	grey   = "90"
)

func (p paint) in(colour, text string) string {
	if !p.on || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// eventLine is an event for a person: time, level, where, what.
func eventLine(e client.Event, p paint) string {
	var b strings.Builder
	b.WriteString(p.in(grey, e.Time.Local().Format("15:04:05.000")))
	b.WriteByte(' ')
	b.WriteString(p.in(levelColour(e.Level), fmt.Sprintf("%-5s", printable(e.Level))))
	b.WriteByte(' ')
	where := e.Script
	if where == "" {
		where = e.Kind
	}
	b.WriteString(p.in(cyan, printable(where)))
	if e.Ray != "" {
		b.WriteByte(' ')
		b.WriteString(p.in(grey, printable(e.Ray)))
	}
	if e.Kind == telemetry.KindAccess {
		b.WriteByte(' ')
		b.WriteString(p.in(statusColour(e.Status), strconv.Itoa(e.Status)))
		fmt.Fprintf(&b, " %s %s%s %s %d B", printable(e.Method), printable(e.Host), printable(e.Path),
			(time.Duration(e.DurationUS) * time.Microsecond).String(), e.BytesOut)
		if e.Outcome != "" && e.Outcome != telemetry.OutcomeOK {
			b.WriteByte(' ')
			b.WriteString(p.in(yellow, printable(e.Outcome)))
		}
	}
	if e.Message != "" {
		b.WriteByte(' ')
		b.WriteString(indent(printable(e.Message)))
	}
	if e.Stack != "" {
		b.WriteString("\n    ")
		b.WriteString(indent(printable(strings.TrimSpace(e.Stack))))
	}
	return b.String()
}

// indent keeps the lines of one event together.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }

func levelColour(level string) string {
	switch level {
	case telemetry.LevelError:
		return red
	case telemetry.LevelWarn:
		return yellow
	}
	return grey
}

func statusColour(status int) string {
	switch {
	case status >= 500:
		return red
	case status >= 400:
		return yellow
	}
	return cyan
}
