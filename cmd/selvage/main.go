// Command selvage is a self-hosted edge platform. See "selvage --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/selvage-dev/selvage/internal/cli"
)

// Set by the linker (Makefile).
var (
	version = "unknown"
	commit  = "unknown" //nolint:gochecknoglobals // the linker can set nothing else
)

func main() {
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
		Args: os.Args[1:], Environ: os.Environ(), Version: version, Commit: commit,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Hangup: func() <-chan os.Signal {
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGHUP)
			return c
		},
	}))
}
