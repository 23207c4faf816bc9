package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/server"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

func (a *app) up() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the platform",
		Long: `Starts the platform and serves until SIGINT or SIGTERM; then it drains. SIGHUP
reads the configuration again. The first start creates the account, its
subdomain and an all-rights token in the data directory.

Every option of the configuration file is a flag here too, and a variable:
--api-port is SELVAGE_API_PORT and, in the file, port in [api].`,
		Example: `  selvage up
  selvage up --data ./state --port 0 --api-port 0 --json
  selvage up --config /etc/selvage/selvage.toml
  selvage up --host 0.0.0.0 --api-host 127.0.0.1 --domain edge.example.org`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd.Context(), cmd.Flags())
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print one line of JSON on stdout when ready, and nothing else")
	defaults := config.Default(a.getenv)
	for _, o := range config.Options() {
		if o.Key == "data" { // a flag of every command
			continue
		}
		value := &optionValue{text: o.Get(defaults), isBool: o.Bool()}
		f := cmd.Flags().VarPF(value, o.Flag(), "", o.Doc)
		if value.isBool {
			f.NoOptDefVal = "true"
		}
	}
	return cmd
}

// optionValue is a flag whose text package config reads and checks.
type optionValue struct {
	text   string
	isBool bool
}

// String implements pflag.Value.
func (v *optionValue) String() string { return v.text }

// Set implements pflag.Value.
func (v *optionValue) Set(text string) error { v.text = text; return nil }

// Type implements pflag.Value; it is shown in the help.
func (v *optionValue) Type() string {
	if v.isBool {
		return "bool"
	}
	return "value"
}

// serve runs a platform until ctx ends or a part of it fails.
func (a *app) serve(ctx context.Context, flags *pflag.FlagSet) error {
	c, err := a.load(flags)
	if err != nil {
		return err
	}
	for _, name := range config.UnknownEnv(a.Environ, "SELVAGE_CONFIG") {
		if !strings.HasPrefix(name, "SELVAGE_TEST_") {
			a.note("the variable %s sets no option; \"selvage config\" lists them", name)
		}
	}
	notifier := telemetry.NewNotifier(a.getenv)
	s := server.New(server.Options{Config: &c.Config, Version: a.Version, Commit: a.Commit, Log: a.Stderr, Helper: a.Helper})
	if err := s.Start(ctx); err != nil {
		if ctx.Err() != nil { // stopped while it started
			return nil
		}
		return err
	}
	info, err := s.Info() //nolint:contextcheck // one look at the store
	if err != nil {
		a.note("%v", err) // it serves all the same; only the line below lacks the token
	}
	if err := a.announce(info, c); err != nil {
		return joinClose(ctx, err, s)
	}
	watchdog, stopWatchdog := context.WithCancel(ctx)
	defer stopWatchdog()
	a.tell(ctx, s, notifier.Ready(ctx, "serving on "+info.EdgeURL))
	go func() {
		a.tell(watchdog, s, notifier.Watchdog(watchdog, os.Getpid(), func() bool { return s.Healthy(watchdog) }))
	}()
	failure := a.wait(ctx, s, notifier, flags)
	closing := context.WithoutCancel(ctx)
	a.tell(closing, s, notifier.Stopping(closing))
	return joinClose(ctx, failure, s)
}

func joinClose(ctx context.Context, err error, s *server.Server) error {
	closed := s.Close(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	return closed
}

// wait returns nil when ctx ends, or what has failed.
func (a *app) wait(ctx context.Context, s *server.Server, n *telemetry.Notifier, flags *pflag.FlagSet) error {
	var hangup <-chan os.Signal
	if a.Hangup != nil {
		hangup = a.Hangup()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.Failed():
			return err
		case <-hangup:
			a.tell(ctx, s, n.Reloading(ctx))
			status := "configuration reloaded"
			if now, err := a.load(flags); err != nil {
				status = "the configuration is not valid; the one before stays"
				s.Log().ErrorContext(ctx, "reload refused: the configuration is not valid", "error", err)
			} else if waiting := s.Reload(ctx, &now.Config); len(waiting) > 0 {
				status = "configuration reloaded; waiting for a restart: " + strings.Join(waiting, ", ")
			}
			a.tell(ctx, s, n.Ready(ctx, status))
		}
	}
}

// tell logs that the service manager could not be told.
func (a *app) tell(ctx context.Context, s *server.Server, err error) {
	if err != nil {
		s.Log().WarnContext(ctx, "cannot notify the service manager", "error", err)
	}
}

// announce prints how the platform is reached.
func (a *app) announce(info server.Info, c *config.Effective) error {
	if a.json {
		line, err := json.Marshal(info)
		if err != nil {
			return fmt.Errorf("encode the ready line: %w", err)
		}
		a.printf("%s\n", line)
		return nil
	}
	data := ""
	if c.Origins["data"] == "--data" {
		data = " --data " + quotePOSIX(c.Data)
	}
	port := info.EdgeURL[strings.LastIndexByte(info.EdgeURL, ':'):]
	a.printf(`selvage %s is ready.

  Workers  http://<name>.%s%s
  API      %s

In another terminal, in your app's folder:

  eval "$(%s env%s)"
  npx wrangler deploy

`, a.Version, info.WorkersDomain, port, info.APIURL, quotePOSIX(a.Program), data)
	return nil
}
