package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/project"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// buildStop is how long a build command may take to end once the deploy is called off.
const buildStop = 5 * time.Second

// customBuild runs the build command of the configuration as wrangler does: in a
// shell, in the folder that it names (relative to the one that the command was called
// in, not to the configuration), with the caller's environment. What it prints goes
// to stderr, line by line. When ctx ends, all that it started ends, too.
func (a *app) customBuild(ctx context.Context, c *project.Config, command string) error {
	build := &c.Build
	var mu sync.Mutex
	say := func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(a.Stderr, "[custom build] %s\n", line) //nolint:errcheck // nowhere else to tell
	}
	say([]byte("Running: " + printable(build.Command)))
	proc, err := supervise.Start(ctx, supervise.Spec{
		Path: "/bin/sh", Args: []string{"-c", build.Command}, Dir: build.Dir,
		Env:    append(slices.Clone(a.Environ), "WRANGLER_COMMAND="+command),
		Stdout: say, Stderr: say,
	})
	if err != nil {
		return fmt.Errorf("the build command (%s) cannot be started: %w", build.Command, err)
	}
	select {
	case <-proc.Done():
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildStop)
		defer cancel()
		_ = proc.Stop(stop) // it is gone, by force if need be
		return context.Cause(ctx)
	}
	if err := proc.Err(); err != nil {
		return fmt.Errorf("the build command (%s) failed, nothing was deployed: %w", build.Command, err)
	}
	if c.Main == "" {
		return nil
	}
	if _, err := os.Stat(c.Main); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the build command (%s) ran, but \"main\" (%s) is not there: it must name the file that the command makes", build.Command, c.Main)
	}
	return nil
}
