package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/sandbox"
)

// programInside is a path that every root has.
const programInside = "/proc/self/exe"

// probeTimeout bounds the try-out of the layers, which takes milliseconds.
const probeTimeout = 10 * time.Second

// Isolation is what keeps untrusted processes apart on this machine. It is found
// out by trying, once; see [Probe].
type Isolation struct {
	// Layers are what was tried, in the order in which an operator should care.
	Layers []Layer

	helper     string // empty: nothing is confined
	namespaces bool
	user       bool // the namespaces come with one for users
	seccomp    bool
	landlock   bool
}

// Layer is one thing that keeps a process in, and whether it does here.
type Layer struct {
	Name  string
	Holds bool
	// Detail says what holds, or why it does not.
	Detail string
	// Remedy says what the operator can do; empty when it holds or nothing helps.
	Remedy string
}

// Confined reports whether a process has no network, sees no files but its own
// and cannot reach another's sockets: whether tenants are kept apart.
func (i *Isolation) Confined() bool { return i != nil && i.namespaces }

// AsRoot reports whether confined processes begin as root, and not in a namespace
// of users of their own: then [Sandbox.User] counts.
func (i *Isolation) AsRoot() bool { return i.Confined() && !i.user }

// Active reports whether processes are confined at all.
func (i *Isolation) Active() bool { return i != nil && i.helper != "" }

// Missing returns the layers that do not hold, for a log line.
func (i *Isolation) Missing() []string {
	var out []string
	for _, l := range i.Layers {
		if !l.Holds {
			out = append(out, l.Name+": "+l.Detail)
		}
	}
	return out
}

// Sandbox says what a confined process may see; see [Spec].
type Sandbox struct {
	Isolation *Isolation
	// Program is where the program is in the process's root, when there is one.
	Program string
	// ReadOnly must include the program and its libraries.
	ReadOnly []sandbox.Bind
	// Writable are folders that it may write, at the same path inside.
	Writable []string
	// Work, WorkDir, System, Loopback and Limits are those of [sandbox.Spec].
	Work     []sandbox.Bind
	WorkDir  string
	System   bool
	Loopback int
	Limits   sandbox.Limits
	// User is whom to become where the platform is root; 0: nobody else. Elsewhere
	// the process has a namespace of users of its own.
	User int
}

// Probe finds out which layers hold. The helper is this program, or another that
// calls [sandbox.Main] first thing when [sandbox.IsHelper] says so;
// "/proc/self/exe" stays right when the file is replaced. An error means that
// nothing could be found out; a layer that does not hold is none.
func Probe(ctx context.Context, helper string) (*Isolation, error) {
	if helper == "" {
		return nil, errors.New("supervise: no program to confine processes with")
	}
	if runtime.GOOS != "linux" {
		return &Isolation{Layers: []Layer{{Name: "isolation", Detail: "processes are confined on Linux only", Remedy: namespaceRemedy()}}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "selvage-probe-")
	if err != nil {
		return nil, fmt.Errorf("supervise: probe the isolation: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	i := &Isolation{helper: helper, namespaces: true, user: needsUserNamespace()}
	r, err := i.try(ctx, dir)
	var blocked error
	if err != nil || r.Root != nil || r.Network != nil {
		if blocked = err; err == nil {
			blocked = cmpFailure(r.Root, r.Network)
		}
		i.namespaces = false
		if r, err = i.try(ctx, dir); err != nil {
			return nil, fmt.Errorf("supervise: probe the isolation: %w", err)
		}
	}
	i.seccomp = r.Seccomp == nil
	i.landlock = r.LandlockABI > 0 && r.Landlock == nil
	i.Layers = i.layers(r, blocked)
	return i, nil
}

func cmpFailure(fs ...*sandbox.Failure) error {
	for _, f := range fs {
		if f != nil {
			return fmt.Errorf("%s: %s", f.Step, f.Error)
		}
	}
	return nil
}

// try runs the helper's own probe.
func (i *Isolation) try(ctx context.Context, dir string) (*sandbox.Report, error) {
	var mu sync.Mutex
	var out, words []string
	collect := func(to *[]string) func([]byte) {
		return func(line []byte) {
			mu.Lock()
			defer mu.Unlock()
			*to = append(*to, string(line))
		}
	}
	p, err := start(ctx, Spec{
		Path: programInside, Dir: dir, Stdout: collect(&out), Stderr: collect(&words), Sandbox: &Sandbox{Isolation: i},
	}, true)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return nil, context.Cause(ctx)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.Join(words, "; "))
	}
	r := new(sandbox.Report)
	if err := json.Unmarshal([]byte(strings.Join(out, "\n")), r); err != nil {
		return nil, fmt.Errorf("read the report of %s: %w", i.helper, err)
	}
	return r, nil
}

// layers puts the findings into words.
func (i *Isolation) layers(r *sandbox.Report, blocked error) []Layer {
	var out []Layer
	add := func(name string, holds bool, yes, no, remedy string) {
		l := Layer{Name: name, Holds: holds, Detail: yes}
		if !holds {
			l.Detail, l.Remedy = no, remedy
		}
		out = append(out, l)
	}
	remedy := ""
	if !i.namespaces {
		remedy = namespaceRemedy()
	}
	noNetwork := i.namespaces || i.seccomp
	how := "a network namespace of its own, without loopback"
	if !i.namespaces {
		how = "the system call filter lets a worker make no network socket; without a namespace of its own"
	}
	add("network", noNetwork, how, fmt.Sprintf("workers share this machine's network: %v", blocked), remedy)
	add("files", i.namespaces, "a root of its own: nothing of this machine but the runtime and the worker's folder",
		fmt.Sprintf("no root of its own, so workers are not kept from one another's sockets: %v", blocked), remedy)
	add("processes", i.namespaces, "a process namespace of its own", fmt.Sprintf("workers see this machine's processes: %v", blocked), remedy)
	add("privileges", r.Privileges == nil, "no capabilities, and no way to get any", failureText(r.Privileges), "")
	add("system calls", i.seccomp, "a seccomp filter", failureText(r.Seccomp), "use a kernel with CONFIG_SECCOMP_FILTER")
	no := failureText(r.Landlock)
	if r.LandlockABI == 0 {
		no = "this kernel has no Landlock, or it is not switched on"
	}
	add("landlock", i.landlock, fmt.Sprintf("Landlock, version %d", r.LandlockABI), no, `use Linux 5.13 or later with "landlock" in lsm=`)
	return out
}

func failureText(f *sandbox.Failure) string {
	if f == nil {
		return ""
	}
	return f.Step + ": " + f.Error
}

// helperArg returns the argument for the helper that becomes s.
func (sb *Sandbox) helperArg(s *Spec, probe bool) (string, error) {
	i := sb.Isolation
	child := sandbox.Spec{
		Path: s.Path, Env: s.Env, Dir: s.Dir, ReadOnly: sb.ReadOnly, Writable: sb.Writable, Files: len(s.ExtraFiles),
		Namespaces: i.namespaces, Seccomp: i.seccomp, Landlock: i.landlock, Probe: probe,
	}
	child.Work, child.WorkDir, child.System, child.Loopback, child.Limits = sb.Work, sb.WorkDir, sb.System, sb.Loopback, sb.Limits
	if !i.user {
		child.User = sb.User
	}
	if i.namespaces && sb.Program != "" {
		child.Path = sb.Program
	}
	child.Args = append([]string{child.Path}, s.Args...)
	return child.Encode()
}
