package instances

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// maxAhead bounds what may be put into a container before it starts, in bytes.
const maxAhead = 4 << 20

// archive is a tar archive for a folder.
type archive struct {
	path string
	body []byte
}

// Put unpacks a tar archive into a folder of the instance: now, when it runs, or
// before its program begins. The error wraps [fs.ErrNotExist] when there is no such
// folder.
func (in *Instance) Put(ctx context.Context, path string, tar io.Reader) error {
	c, _, err := in.Container()
	if err == nil {
		return put(ctx, c, path, tar)
	}
	body, err := io.ReadAll(io.LimitReader(tar, maxAhead+1))
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	size := len(body)
	for _, a := range in.ahead {
		size += len(a.body)
	}
	switch {
	case in.state.Ended || in.state.Running:
		return Fail(CodeNotRunning, "the container has ended, or has just begun: try again")
	case size > maxAhead:
		return Fail(CodeRefused, "at most %d bytes of files can be put into a container before it starts", maxAhead)
	}
	in.ahead = append(in.ahead, archive{path, body})
	return nil
}

// putAhead puts the files into the container that were given before it was there.
func (in *Instance) putAhead(ctx context.Context, c driver.Container) error {
	in.mu.Lock()
	all := in.ahead
	in.ahead = nil
	in.mu.Unlock()
	for _, a := range all {
		if err := put(ctx, c, a.path, bytes.NewReader(a.body)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return &driver.StartError{Text: "the image has no folder " + a.path}
			}
			return err
		}
	}
	return nil
}

func put(ctx context.Context, c driver.Container, path string, tar io.Reader) error {
	f, err := c.Files()
	if err != nil {
		return err
	}
	return errors.Join(f.WriteTar(ctx, path, tar), f.Close())
}
