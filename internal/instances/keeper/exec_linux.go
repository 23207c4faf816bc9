package keeper

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// exec starts a process in the container, says that it runs, and returns how it ended.
func (c *container) exec(ctx context.Context, q *request, files []*os.File) reply {
	if q.Exec == nil || len(files) != 3 || len(q.Exec.Args) == 0 {
		return reply{Error: "the request is not complete"}
	}
	if c.hasEnded() || c.pid == 0 {
		return reply{Error: "the container is not running"}
	}
	args := []string{"exec"}
	for _, v := range q.Exec.Env {
		args = append(args, "--env", v)
	}
	if q.Exec.Dir != "" {
		args = append(args, "--cwd", q.Exec.Dir)
	}
	if q.Exec.User != "" {
		who, err := lookup(filepath.Join(c.bundle, "rootfs"), q.Exec.User)
		if err != nil {
			return answer(err)
		}
		args = append(args, "--user", who.String())
	}
	args = append(append(args, c.id), q.Exec.Args...)
	p, log, err := c.runc(ctx, files[0], files[1], files[2], args...)
	if err != nil {
		return answer(err)
	}
	defer func() { _ = os.Remove(log) }()
	c.m.say(reply{Seq: q.Seq, Pid: p.Pid(), Running: true})
	closeAll(files) // the process has them; who reads its output waits for the end
	<-p.Done()
	return ended(log, p.Err())
}

// ended makes the answer of how runc exec ended: with the code of the process, or
// because there was none.
func ended(log string, err error) reply {
	exit, ok := errors.AsType[*supervise.ExitError](err)
	if !ok {
		return reply{}
	}
	if info, serr := os.Stat(log); serr == nil && info.Size() > 0 {
		if failed := explain(log, "exec", err); failed != nil {
			r := answer(failed)
			if r.Start {
				const notFound = 127
				return reply{Code: notFound}
			}
		}
	}
	if exit.Signal != 0 {
		return reply{Code: signalled + int(exit.Signal)}
	}
	return reply{Code: exit.Code}
}
