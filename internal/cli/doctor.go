package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/runtimebin"
	"github.com/selvage-dev/selvage/internal/server"
)

// Verdicts of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// checkResult is what one check found.
type checkResult struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"` // with what to do unless ok
}

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what the platform needs of this machine",
		Long: `Checks the data directory, free space, workerd, the ports, names below the
domain, the clock, git, and what keeps workers apart. Changes nothing that stays. Exits with 1 when a check fails.`,
		Example: "  selvage doctor\n  selvage doctor --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadData()
			if err != nil {
				return err
			}
			results := diagnose(cmd.Context(), &c.Config, a.Helper)
			failed := false
			for _, r := range results {
				failed = failed || r.Verdict == checkFail
				if !a.json {
					a.printf("%-4s  %-14s %s\n", r.Verdict, r.Check, printable(r.Text))
				}
			}
			if a.json {
				if err := a.printJSON(results); err != nil {
					return err
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func diagnose(ctx context.Context, c *config.Config, helper string) []checkResult {
	info, running := server.ReadRunFile(c.Data)
	results := []checkResult{
		checkData(c.Data),
		checkSpace(c.Data),
		checkWorkerd(ctx, c),
	}
	if running {
		results = append(results, checkResult{"ports", checkOK, fmt.Sprintf("the platform runs (process %d): edge %s, API %s", info.PID, info.EdgeURL, info.APIURL)})
	} else {
		results = append(results,
			checkPort(ctx, "edge port", c.Host, c.Port, "--port"),
			checkPort(ctx, "API port", c.APIHost(), c.API.Port, "--api-port"))
	}
	results = append(results, checkNames(ctx, c.Domain), checkClock(time.Now()), checkPriority(), checkGit(), checkContainers())
	return append(results, checkIsolation(ctx, helper, c.Isolation)...)
}

// checkGit says whether sites can be pushed to.
func checkGit() checkResult {
	const name = "git"
	path, err := exec.LookPath("git")
	if err != nil {
		return checkResult{name, checkWarn, "git is not installed, so sites take no pushes; all else works. Install the package git and start the platform again"}
	}
	return checkResult{name, checkOK, path + ": sites can be pushed to"}
}

// checkContainers says whether containers of Durable Objects can be run.
func checkContainers() checkResult {
	const name = "containers"
	if missing := server.ContainersMissing(); missing != "" {
		return checkResult{name, checkWarn, "no containers can be run; all else works: " + missing}
	}
	return checkResult{name, checkOK, "runc runs them"}
}

// checkPriority says whether one worker can slow the others down by computing.
func checkPriority() checkResult {
	if server.Yields() {
		return checkResult{"priority", checkOK, "a worker that computes without a pause leaves the processor to others"}
	}
	return checkResult{"priority", checkWarn, "a worker that computes without a pause can slow the others down until its limit: " +
		"on Linux, allow the platform's user the nice value 0 (LimitNICE=+0 in the unit, or ulimit -e 20)"}
}

// checkIsolation tries each layer. What is missing is a failure only for who
// requires it.
func checkIsolation(ctx context.Context, helper, wanted string) []checkResult {
	found, err := server.Isolation(ctx, helper)
	if err != nil {
		return []checkResult{{"isolation", checkFail, err.Error()}}
	}
	verdict, text := checkOK, "workers are kept apart from one another and from this machine"
	switch {
	case found.Confined():
	case wanted == config.IsolationRequire:
		verdict, text = checkFail, "workers are NOT kept apart from one another, and isolation = require"
	default:
		verdict, text = checkWarn, "workers are NOT kept apart from one another: run only workers you trust, or set isolation = require"
	}
	out := []checkResult{{"isolation", verdict, text}}
	for _, l := range found.Layers {
		r := checkResult{"  " + l.Name, checkOK, "holds: " + l.Detail}
		if !l.Holds {
			r.Verdict, r.Text = checkWarn, "does not hold: "+l.Detail
			if l.Remedy != "" {
				r.Text += "; " + l.Remedy
			}
		}
		out = append(out, r)
	}
	return out
}

func checkData(dir string) checkResult {
	const name = "data directory"
	where := dir
	for {
		info, err := os.Stat(where)
		if err == nil && !info.IsDir() {
			return checkResult{name, checkFail, where + " is not a folder; choose another with --data"}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || where == filepath.Dir(where) {
			return checkResult{name, checkFail, fmt.Sprintf("%v; choose another with --data", err)}
		}
		where = filepath.Dir(where)
	}
	f, err := fsx.CreateTemp(where, "doctor")
	if err != nil {
		return checkResult{name, checkFail, fmt.Sprintf("%v; choose another with --data", err)}
	}
	if err := (fsx.FS{}).Discard(f); err != nil {
		return checkResult{name, checkFail, err.Error()}
	}
	if where != dir {
		return checkResult{name, checkOK, dir + " will be made in " + where + ", which is writable"}
	}
	return checkResult{name, checkOK, dir + " is writable"}
}

func checkSpace(dir string) checkResult {
	const name, low = "free space", 1 << 30
	free, where, ok := server.FreeSpace(dir)
	switch {
	case !ok:
		return checkResult{name, checkWarn, "this system does not say how much is free on " + where}
	case free < low:
		return checkResult{name, checkWarn, fmt.Sprintf("%d MiB on %s; deployments and logs need more before long", free>>20, where)}
	}
	return checkResult{name, checkOK, fmt.Sprintf("%d GiB on %s", free>>30, where)}
}

func checkWorkerd(ctx context.Context, c *config.Config) checkResult {
	const name = "workerd"
	p, err := runtimebin.Describe(ctx, c.Data, c.Workerd)
	if err != nil {
		return checkResult{name, checkFail, err.Error()}
	}
	text := fmt.Sprintf("%s, %s, %s", p.Version, p.Origin, p.Path)
	if p.Origin != runtimebin.OriginEmbedded {
		return checkResult{name, checkOK, text}
	}
	switch err := runtimebin.Verify(c.Data); {
	case errors.Is(err, fs.ErrNotExist):
		return checkResult{name, checkOK, text + " (written at the first start)"}
	case err != nil:
		return checkResult{name, checkFail, err.Error()}
	}
	if _, err := runtimebin.Version(ctx, p.Path); err != nil {
		return checkResult{name, checkFail, err.Error()}
	}
	return checkResult{name, checkOK, text}
}

func checkPort(ctx context.Context, name, host string, port int, flag string) checkResult {
	if port == 0 {
		return checkResult{name, checkOK, "any free one"}
	}
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return checkResult{name, checkFail, fmt.Sprintf("%s: %v; choose another with %s", addr, err, flag)}
	}
	if err := ln.Close(); err != nil {
		return checkResult{name, checkWarn, fmt.Sprintf("%s: %v", addr, err)}
	}
	return checkResult{name, checkOK, addr + " is free"}
}

func checkNames(ctx context.Context, domain string) checkResult {
	const name = "names"
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	host := "doctor.me.workers." + domain
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return checkResult{name, checkWarn, host + " does not resolve here; browsers and curl resolve names below localhost by themselves, other programs need --resolve, a Host header or a DNS entry for *.workers." + domain}
	}
	return checkResult{name, checkOK, host + " is " + addrs[0]}
}

// checkClock finds a clock that was never set: tokens and certificates would
// look expired, or not valid yet.
func checkClock(now time.Time) checkResult {
	const name = "clock"
	if earliest := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); now.Before(earliest) {
		return checkResult{name, checkFail, "the clock says " + now.UTC().Format(time.RFC3339) + ", before this release was made; set it"}
	}
	return checkResult{name, checkOK, now.UTC().Format(time.RFC3339)}
}
