//go:build !linux

package builds

import (
	"context"
	"errors"
	"net"
	"os"
)

const proxyPort = 3128

func proxyEnv() []string { return nil }

// proxy needs a network of the build's own.
type proxy struct{}

func newProxy(func(ctx context.Context, network, address string) (net.Conn, error)) (*proxy, error) {
	return nil, errors.ErrUnsupported
}

func (*proxy) files() []*os.File { return nil }

func (*proxy) serve(context.Context) {}

func (*proxy) close() {}
