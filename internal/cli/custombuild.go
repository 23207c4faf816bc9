package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/selvage-dev/selvage/internal/project"
)

// customBuild runs the build command of the configuration, with the caller's
// environment. What it prints goes to stderr, line by line.
func (a *app) customBuild(ctx context.Context, c *project.Config, command string) error {
	var mu sync.Mutex
	say := func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(a.Stderr, "[custom build] %s\n", line) //nolint:errcheck // nowhere else to tell
	}
	say([]byte("Running: " + printable(c.Build.Command)))
	if err := c.Build.Run(ctx, append(slices.Clone(a.Environ), "WRANGLER_COMMAND="+command), say); err != nil {
		return err
	}
	if c.Main == "" {
		return nil
	}
	if _, err := os.Stat(c.Main); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the build command (%s) ran, but \"main\" (%s) is not there: it must name the file that the command makes", c.Build.Command, c.Main)
	}
	return nil
}
