package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// maxSaid bounds what is kept of git's standard error, in bytes.
const maxSaid = 4 << 10

// command is one run of git.
type command struct {
	repo string // GIT_DIR; empty for init
	dir  string // working folder
	args []string
	env  []string
	// write are folders besides dir that git may write.
	write []string
	in    io.Reader // nil: nothing
	out   io.Writer // nil: discarded
}

// settings are git's, for every run. They are on the command line, where nothing
// in a repository overrides them.
func (s *Store) settings() []string {
	var out []string
	for _, kv := range [][2]string{
		{"core.hooksPath", "/dev/null"},
		{"core.fsmonitor", "false"},
		{"core.symlinks", "true"},
		{"core.protectHFS", "true"},
		{"core.protectNTFS", "true"},
		// What was acknowledged is on disk: a reference and all that it leads to.
		{"core.fsync", "all"},
		{"core.fsyncMethod", "fsync"},
		{"core.bigFileThreshold", "16m"}, // larger ones are streamed, not held in memory
		{"pack.threads", "1"},
		{"pack.windowMemory", "64m"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"receive.autogc", "false"},
		{"receive.fsckObjects", "true"},
		{"receive.maxInputSize", strconv.FormatInt(s.o.MaxPush, 10)},
		{"receive.unpackLimit", "1"}, // one pack a push, never a file an object
		{"receive.denyDeletes", "false"},
		{"receive.denyNonFastForwards", "false"},
		{"receive.advertisePushOptions", "false"},
		{"receive.keepAlive", "5"},
		{"uploadpack.allowFilter", "true"},
		{"uploadpack.keepAlive", "5"},
		{"protocol.allow", "never"}, // git itself fetches from nowhere
		{"submodule.recurse", "false"},
		{"safe.directory", "*"},
	} {
		out = append(out, "-c", kv[0]+"="+kv[1])
	}
	return out
}

func environment(c *command) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1", "GIT_OPTIONAL_LOCKS=0",
	}
	if c.repo != "" {
		env = append(env, "GIT_DIR="+c.repo)
	}
	return append(env, c.env...)
}

// run runs git to its end. Its output is delivered when run returns, its input
// read as far as git wanted it.
func (s *Store) run(ctx context.Context, c command) error {
	if s.git == "" {
		return ErrNoGit
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	p, err := s.begin(ctx, &c)
	if err != nil {
		return err
	}
	copied := make(chan error, 1)
	go func() {
		out := c.out
		if out == nil {
			out = io.Discard
		}
		_, err := io.Copy(out, p.out)
		_ = p.out.Close() // git learns that nobody listens
		copied <- err
	}()
	select {
	case <-p.process.Done():
	case <-ctx.Done():
		p.process.Kill()
	}
	p.closeInput()
	outErr := <-copied
	if err := ctx.Err(); err != nil {
		return &RunError{Command: name(c.args), Said: p.said(), Err: context.Cause(ctx)}
	}
	if err := p.process.Err(); err != nil {
		return errors.Join(&RunError{Command: name(c.args), Said: p.said(), Err: err}, outErr)
	}
	return outErr
}

// name is git's command, without what follows.
func name(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

// running is a git that runs.
type running struct {
	process *supervise.Process
	out     *os.File

	closeInput func()

	mu   sync.Mutex
	text bytes.Buffer
}

func (p *running) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(p.text.String())
}

func (s *Store) begin(ctx context.Context, c *command) (*running, error) {
	p := &running{closeInput: func() {}}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("gitrepo: %w", err)
	}
	defer outWrite.Close() //nolint:errcheck // git has it
	p.out = outRead
	spec := supervise.Spec{
		Path: s.git, Args: append(s.settings(), c.args...), Env: environment(c), Dir: c.dir, StdoutFile: outWrite,
		Stderr: func(line []byte) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.text.Len()+len(line) < maxSaid {
				p.text.Write(line)
				p.text.WriteByte('\n')
			}
		},
	}
	s.confine(&spec, c)
	var inWrite *os.File
	if c.in != nil {
		inRead, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gitrepo: %w", err), outRead.Close())
		}
		defer inRead.Close() //nolint:errcheck // git has it
		spec.Stdin, inWrite = inRead, w
	}
	p.process, err = supervise.Start(ctx, spec)
	if err != nil {
		if inWrite != nil {
			_ = inWrite.Close()
		}
		return nil, errors.Join(fmt.Errorf("gitrepo: %w", err), outRead.Close())
	}
	if inWrite != nil {
		p.feed(inWrite, c.in)
	}
	return p, nil
}

// feed gives git its input. A reader that blocks keeps the goroutine until it
// ends, which for the body of a request is at the latest when that is over.
func (p *running) feed(to *os.File, from io.Reader) {
	go func() {
		_, err := io.Copy(to, from)
		if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
			// The client went away in the middle: git must not take the end of its
			// input for the end of the push, and it does not, as a pack says how long it is.
			_ = to.Close()
			return
		}
		_ = to.Close()
	}()
	p.closeInput = func() { _ = to.Close() }
}
