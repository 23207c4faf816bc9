// Command selvage is a self-hosted edge platform. See "selvage --help".
package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/selvage-dev/selvage/internal/cli"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
	"github.com/selvage-dev/selvage/internal/sandbox"
)

// Set by the linker (Makefile).
var (
	version = "unknown"
	commit  = "unknown" //nolint:gochecknoglobals // the linker can set nothing else
)

func main() {
	if sandbox.IsHelper(os.Args) {
		os.Exit(sandbox.Main(os.Args[1]))
	}
	if keeper.IsKeeper(os.Args) {
		os.Exit(keeper.Main())
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-stop
		cancel() // drain
		<-stop
		os.Exit(1) // asked twice: at once
	}()
	os.Exit(cli.Run(ctx, cli.Process{
		Args: os.Args[1:], Environ: os.Environ(), Version: version, Commit: commit, Program: program(),
		Helper: "/proc/self/exe",
		Stdin:  os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Hangup: func() <-chan os.Signal {
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGHUP)
			return c
		},
	}))
}

// program is how the operator can run this file again from any folder.
func program() string {
	const name = "selvage"
	self, err := os.Executable()
	if err != nil {
		return name
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return self
	}
	a, err := os.Stat(self)
	if err != nil {
		return name
	}
	if b, err := os.Stat(found); err == nil && os.SameFile(a, b) {
		return name
	}
	return self
}
