package project

import (
	"context"
	"fmt"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// buildStop is how long a build command may take to end once it is called off.
const buildStop = 5 * time.Second

// Run runs the command as wrangler does: in a shell, in the folder that it names
// (relative to the working directory, not to the configuration), with the environment
// given. Each line that it prints goes to say, which is called by two goroutines. When
// ctx ends, so does all that the command has started, and the error is ctx's cause;
// otherwise the error says how the command failed.
func (b *BuildCommand) Run(ctx context.Context, env []string, say func(line []byte)) error {
	proc, err := supervise.Start(ctx, supervise.Spec{
		Path: "/bin/sh", Args: []string{"-c", b.Command}, Dir: b.Dir, Env: env, Stdout: say, Stderr: say,
	})
	if err != nil {
		return fmt.Errorf("the build command (%s) cannot be started: %w", b.Command, err)
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
		return fmt.Errorf("the build command (%s) failed, nothing was deployed: %w", b.Command, err)
	}
	return nil
}
