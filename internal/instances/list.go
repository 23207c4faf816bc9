package instances

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// Info is what there is to say of an instance.
type Info struct {
	ID          uuid.UUID
	Account     string
	Script      string
	Class       string
	Object      string // id of the Durable Object; "" when it is not known
	Application string
	Version     string // of the application
	Image       Image
	State       State
	Health      HealthState
	// HealthReason says why it is not healthy.
	HealthReason string
	CreatedAt    time.Time
	StartedAt    time.Time // zero: it has not started
	EndedAt      time.Time // zero: it has not ended
}

// UUID is the instance's id in the form that the API has.
func (in *Instance) UUID() uuid.UUID { return uuidOf(in.id) }

func uuidOf(id string) uuid.UUID {
	u, _ := uuid.Parse(id[:32]) // 32 hex digits are one
	return u
}

// objectPattern finds the id of an object in the name that the runtime gives to its
// container.
var objectPattern = regexp.MustCompile(`[0-9a-f]{64}`)

func objectOf(name string) string { return objectPattern.FindString(name) }

// Info describes the instance.
func (in *Instance) Info() Info {
	state, reason := in.Health()
	in.mu.Lock()
	defer in.mu.Unlock()
	return Info{
		ID: in.UUID(), Account: in.o.account, Script: in.o.script, Class: in.request.Class, Object: objectOf(in.request.Name),
		Application: in.app.ID, Version: in.app.Version, Image: in.ref, State: in.state, Health: state, HealthReason: reason,
		CreatedAt: in.created, StartedAt: in.started, EndedAt: in.ended,
	}
}

// keptEnded is how many instances that have ended are remembered, of all
// applications together.
const keptEnded = 500

// memory remembers instances that have ended.
type memory struct {
	mu  sync.Mutex
	all []Info
}

func (m *memory) add(i Info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, i)
	if len(m.all) > keptEnded {
		m.all = slices.Delete(m.all, 0, len(m.all)-keptEnded)
	}
}

func (m *memory) of(application string) []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Info
	for _, i := range m.all {
		if application == "" || i.Application == application {
			out = append(out, i)
		}
	}
	return out
}

// here returns the instances that are there, of an application or, with "", of all.
func (s *Service) here(application string) []*Instance {
	s.mu.Lock()
	owners := make([]*Owner, 0, len(s.owners))
	for o := range s.owners {
		owners = append(owners, o)
	}
	s.mu.Unlock()
	var out []*Instance
	for _, o := range owners {
		o.mu.Lock()
		for _, in := range o.byID {
			if application == "" || in.app.ID == application {
				out = append(out, in)
			}
		}
		o.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b *Instance) int { return a.created.Compare(b.created) })
	return out
}

// Instances returns the instances of an application, or of all with "": those that
// are there, and those that ended last, the oldest first.
func (s *Service) Instances(application string) []Info {
	out := s.ended.of(application)
	for _, in := range s.here(application) {
		if !in.State().Ended {
			out = append(out, in.Info())
		}
	}
	slices.SortStableFunc(out, func(a, b Info) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out
}

// Instance finds one that is there by its UUID. The error is of [CodeNotFound].
func (s *Service) Instance(id uuid.UUID) (*Instance, error) {
	for _, in := range s.here("") {
		if in.UUID() == id {
			return in, nil
		}
	}
	return nil, Fail(CodeNotFound, "there is no instance %s", id)
}

// Move has an instance end, so that its object starts another one as its application
// then is: SIGTERM, and SIGKILL when grace has passed.
func (s *Service) Move(ctx context.Context, id uuid.UUID, grace time.Duration) error {
	in, err := s.Instance(id)
	if err != nil {
		return err
	}
	return in.End(ctx, grace)
}

// EndAll ends all instances of an application.
func (s *Service) EndAll(ctx context.Context, application string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for _, in := range s.here(application) {
		wg.Go(func() {
			err := in.End(ctx, s.o.StopGrace)
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// End asks the instance to end, and ends it when grace has passed. One that does not
// run is as it should be.
func (in *Instance) End(ctx context.Context, grace time.Duration) error {
	if !in.State().Running {
		return nil
	}
	if err := in.Signal(in.stopSignal()); err != nil {
		return in.unlessEnded(err)
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
	}
	if err := in.Signal(syscall.SIGKILL); err != nil {
		return in.unlessEnded(err)
	}
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (in *Instance) unlessEnded(err error) error {
	if own, ok := errors.AsType[*Error](err); ok && own.Code == CodeNotRunning {
		return nil
	}
	return err
}

// Stats returns what the instance takes now.
func (in *Instance) Stats() (driver.Stats, error) {
	c, _, err := in.Container()
	if err != nil {
		return driver.Stats{}, err
	}
	return c.Stats()
}
