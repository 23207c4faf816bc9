package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/selvage-dev/selvage/internal/config"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Process is what a call of the command gets from the system.
type Process struct {
	Args            []string // without the program's name
	Environ         []string // NAME=value
	Stdin           io.Reader
	Stdout, Stderr  io.Writer
	Version, Commit string // of the build
	// Program is how the caller can run this program again from any folder:
	// its name, or its path when that is not in PATH. Empty means "selvage".
	Program string
	// Helper is the program that confines worker processes, see supervise.Probe.
	// Empty means that they are not.
	Helper string
	// Hangup subscribes to SIGHUP; only "up" does. May be nil.
	Hangup func() <-chan os.Signal
}

// Run runs one command and returns its exit code. When ctx ends, a platform
// drains and a follower stops; both exit with 0.
func Run(ctx context.Context, p Process) int {
	if p.Program == "" {
		p.Program = "selvage"
	}
	a := &app{Process: p}
	root := a.root() //nolint:contextcheck // commands get ctx from ExecuteContext
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errReported) {
		return exitFailure
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(p.Stderr, "selvage: "+printable(strings.TrimRight(line, "\n"))) //nolint:errcheck // nowhere else to tell
	}
	if usage, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(p.Stderr, "selvage: see \"%s --help\"\n", usage.command) //nolint:errcheck // as above
		return exitUsage
	}
	return exitFailure
}

// errReported ends a command with exit code 1 whose output says why.
var errReported = errors.New("failed")

// usageError is a call that no command understands.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// app is one call of the command.
type app struct {
	Process

	configFile string
	data       string
	json       bool // --json, of the commands that have it
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "selvage",
		Short: "A self-hosted edge platform for Workers applications",
		Long: `selvage runs applications written for Cloudflare's developer platform on your
own machine, with stock workerd, driven by the unmodified wrangler.`,
		Example: `  selvage up                     start the platform
  selvage deploy                 deploy the app in this folder, without Node.js
  eval "$(selvage env)"          or point wrangler at the platform:
  npx wrangler deploy
  selvage logs --follow          watch what it does`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{command: cmd.CommandPath(), err: err}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration file (SELVAGE_CONFIG)")
	flags.StringVar(&a.data, "data", "", "data directory (SELVAGE_DATA)")
	root.AddCommand(
		a.up(), a.env(), a.status(), a.logs(), a.token(), a.egress(), a.zone(), a.trigger(), a.kv(), a.d1(), a.whoami(),
		a.deploy(), a.rollback(), a.versions(), a.deployments(), a.secret(), a.delete(),
		a.config(), a.doctor(), a.version(), a.newApp(),
	)
	root.AddCommand(a.tail())
	root.AddCommand(a.vectorize())
	root.AddCommand(a.ai())
	root.AddCommand(a.pages())
	root.AddCommand(a.trust(), a.domain())
	root.CompletionOptions.HiddenDefaultCmd = false
	return root
}

// group is the RunE of a command that only holds others.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return &usageError{command: cmd.CommandPath(), err: errors.New(text)}
}

// noArgs, oneArg and atMostOneArg check the number of arguments.
func noArgs(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) }

func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, fmt.Errorf("%s takes one argument, got %d", cmd.CommandPath(), len(args)))
	}
	return nil
}

func atMostOneArg(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(cmd, fmt.Errorf("%s takes at most one argument, got %d", cmd.CommandPath(), len(args)))
	}
	return nil
}

func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{command: cmd.CommandPath(), err: err}
}

func (a *app) getenv(name string) string {
	for _, pair := range slices.Backward(a.Environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// load reads the configuration, with the flags of the command that were given.
func (a *app) load(flags *pflag.FlagSet) (*config.Effective, error) {
	given := make(map[string]string)
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return a.loadWith(given)
}

// loadData reads the configuration for a command whose only option is --data.
func (a *app) loadData() (*config.Effective, error) {
	given := make(map[string]string)
	if a.data != "" {
		given["data"] = a.data
	}
	return a.loadWith(given)
}

func (a *app) loadWith(flags map[string]string) (*config.Effective, error) {
	file := a.configFile
	if file == "" {
		file = a.getenv("SELVAGE_CONFIG")
	}
	return config.Load(config.Sources{File: file, Getenv: a.getenv, Flags: flags})
}

// printf writes to stdout. A reader that has gone away is not this command's failure.
func (a *app) printf(format string, args ...any) {
	fmt.Fprintf(a.Stdout, format, args...) //nolint:errcheck // see above
}

// note writes a line for the person at the terminal to stderr.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.Stderr, "selvage: "+format+"\n", args...) //nolint:errcheck // nowhere else to tell
}
