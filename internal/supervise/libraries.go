package supervise

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/sandbox"
)

// libraryDir is where a confined program finds its libraries.
const libraryDir = "/lib"

// Closure returns what a program needs to run in a root of its own: itself, at
// the path inside, and its loader and libraries as the loader finds them here.
// The environment makes the loader look where they are put.
func Closure(ctx context.Context, program, inside string) (files []sandbox.Bind, env []string, err error) {
	files = []sandbox.Bind{{Source: program, Target: inside}}
	loader, err := interpreter(program)
	if err != nil {
		return nil, nil, fmt.Errorf("supervise: read %s: %w", program, err)
	}
	if loader == "" {
		return files, nil, nil // statically linked
	}
	var mu sync.Mutex
	var said []string
	collect := func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, string(line))
	}
	p, err := Start(ctx, Spec{Path: loader, Args: []string{"--list", program}, Stdout: collect, Stderr: collect})
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return nil, nil, context.Cause(ctx)
	}
	if err := p.Err(); err != nil {
		return nil, nil, fmt.Errorf("supervise: list the libraries of %s: %w: %s", program, err, strings.Join(said, "; "))
	}
	files = append(files, sandbox.Bind{Source: loader, Target: loader})
	for _, line := range said {
		// "	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f…)"
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " => ")
		path, _, _ := strings.Cut(rest, " (")
		if ok && filepath.IsAbs(path) && path != loader {
			files = append(files, sandbox.Bind{Source: path, Target: filepath.Join(libraryDir, filepath.Base(name))})
		}
	}
	return files, []string{"LD_LIBRARY_PATH=" + libraryDir}, nil
}

// interpreter returns the path of a program's dynamic loader, empty when it is
// statically linked.
func interpreter(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			return strings.TrimRight(string(b), "\x00"), err
		}
	}
	return "", nil
}
