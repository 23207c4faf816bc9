package instances

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Owner is one process of a worker with the instances that belong to its objects.
// They end when it is closed. It is safe for concurrent use.
type Owner struct {
	s       *Service
	account string
	script  string
	classes []string

	mu     sync.Mutex
	closed bool
	byName map[string]*Instance
	byID   map[string]*Instance
}

// NewOwner returns the owner for a process whose objects of these classes have
// containers. The caller closes it when the process has ended.
func (s *Service) NewOwner(account, script string, classes []string) *Owner {
	o := &Owner{s: s, account: account, script: script, classes: classes, byName: make(map[string]*Instance), byID: make(map[string]*Instance)}
	s.mu.Lock()
	s.owners[o] = struct{}{}
	s.mu.Unlock()
	return o
}

// Ready prepares what the first start of each class needs. Errors are left to the
// start that finds them again.
func (o *Owner) Ready(ctx context.Context) {
	if o.s.o.Driver == nil {
		return
	}
	if err := o.s.o.Driver.Ready(ctx); err != nil {
		o.s.o.Log.WarnContext(ctx, "containers are not ready", "error", err)
		return
	}
	for _, class := range o.classes {
		app, err := o.s.o.Applications.Application(ctx, o.account, o.script, class, "")
		if err != nil {
			continue
		}
		if _, err := o.s.prepare(ctx, o.account, app.Image); err != nil && ctx.Err() == nil {
			o.s.o.Log.WarnContext(ctx, "the image of a container cannot be made ready", "script", o.script, "class", class, "error", err)
		}
	}
}

// Close ends all instances and waits until they are gone.
func (o *Owner) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	all := o.list()
	o.mu.Unlock()
	var failed []error
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, in := range all {
		wg.Go(func() {
			_ = in.End(ctx, o.grace()) // and when it does not, at once
			err := in.Remove(ctx)
			mu.Lock()
			failed = append(failed, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	o.s.mu.Lock()
	delete(o.s.owners, o)
	o.s.mu.Unlock()
	return errors.Join(failed...)
}

// closeGrace is how long an instance has when its Worker's process has ended: the next
// process waits for it.
const closeGrace = 3 * time.Second

func (o *Owner) grace() time.Duration { return min(o.s.o.StopGrace, closeGrace) }

// list returns all instances, the oldest first. The caller holds o.mu.
func (o *Owner) list() []*Instance {
	out := make([]*Instance, 0, len(o.byID))
	for _, in := range o.byID {
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b *Instance) int { return a.created.Compare(b.created) })
	return out
}

// Busy reports whether an instance runs.
func (o *Owner) Busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, in := range o.byID {
		if in.State().Running {
			return true
		}
	}
	return false
}

// Find returns the instance of a name or an id; nil when there is none.
func (o *Owner) Find(name string) *Instance {
	o.mu.Lock()
	defer o.mu.Unlock()
	if in := o.byName[name]; in != nil {
		return in
	}
	return o.byID[name]
}

// Request is what an object asks for when it starts its container.
type Request struct {
	Name string // of the instance; unique to the owner
	// Class is the object's. Image names another image of its application; empty is
	// the one that it has for all.
	Class, Image string
	Args         []string // in place of the image's entrypoint and command
	Env          []string
}

// Create makes an instance ready to be started.
func (o *Owner) Create(ctx context.Context, q Request) (*Instance, error) {
	if err := o.s.Unavailable(); err != nil {
		return nil, err
	}
	if !slices.Contains(o.classes, q.Class) {
		return nil, Fail(CodeNoApplication, "the class %.100q has no containers in this version of the Worker", q.Class)
	}
	app, err := o.s.o.Applications.Application(ctx, o.account, o.script, q.Class, objectOf(q.Name))
	if err != nil {
		return nil, err
	}
	ref := app.Image
	if q.Image != "" {
		other, ok := app.Images[q.Image]
		if !ok {
			return nil, Fail(CodeNoImage, "the application %s has no image %.100q", app.Name, q.Image)
		}
		ref = other
	}
	img, err := o.s.prepare(ctx, o.account, ref)
	if err != nil {
		return nil, err
	}
	in := newInstance(o, app, img, ref, q)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return nil, Fail(CodeUnavailable, "the Worker's process is ending")
	case o.byName[q.Name] != nil:
		return nil, Fail(CodeConflict, "there is a container %.100q already", q.Name)
	}
	o.byName[q.Name], o.byID[in.id] = in, in
	return in, nil
}

func (o *Owner) forget(in *Instance) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName[in.request.Name] == in {
		delete(o.byName, in.request.Name)
	}
	delete(o.byID, in.id)
}
