package workers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	// A process has watchTimeout to be told that it is watched. One that is in an endless loop is not told.
	watchTimeout = 2 * time.Second
	// The tail handler of a tail worker has tailTimeout.
	tailTimeout      = 30 * time.Second
	maxTailConsumers = 10
)

// Watch tells a script's processes, those that run and those that will be started,
// whether somebody watches it: then they say what a tail needs.
func (s *Service) Watch(sc tail.Script, open bool) { //nolint:revive // it is the state to tell
	key := scope{sc.Account, sc.Name}
	s.mu.Lock()
	if open {
		s.watched[key] = true
	} else {
		delete(s.watched, key)
	}
	var running []*Instance
	for in := range s.running {
		if in.u.scope == key {
			running = append(running, in)
		}
	}
	s.mu.Unlock()
	var g sync.WaitGroup
	for _, in := range running {
		g.Go(func() { s.tellWatch(context.Background(), in, open) })
	}
	g.Wait()
}

// tellNew tells a process that has just started, if its script is watched.
func (s *Service) tellNew(ctx context.Context, in *Instance) {
	s.mu.Lock()
	watched := s.watched[in.u.scope]
	s.mu.Unlock()
	if watched {
		s.tellWatch(ctx, in, true)
	}
}

func (s *Service) tellWatch(ctx context.Context, in *Instance, open bool) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	err := in.proc.Watch(ctx, open)
	switch {
	case err == nil && open:
		s.o.Tails.Tells(in.u.scope.account, in.u.scope.script, in.u.version)
	case errors.Is(err, workerd.ErrNoDispatch), err == nil:
	default: // its lines come as text, and its items a little later
		s.log.InfoContext(ctx, "a worker process was not told that it is watched", "script", in.u.scope.script, "version", in.u.version, "error", err)
	}
}

// Meter implements [tail.Meter].
func (in *Instance) Meter() (cpu time.Duration, running int64) {
	_, cpu, err := in.proc.Usage()
	if err != nil {
		cpu = 0 // it has ended; nothing more is measured
	}
	running, _ = in.inFlight()
	return cpu, running
}

// tailConsumer is one entry of the setting tail_consumers.
type tailConsumer struct {
	Service     string `json:"service"`
	Environment string `json:"environment,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
}

// parseConsumers reads the setting; null and [] are none.
func parseConsumers(raw json.RawMessage) ([]tailConsumer, error) {
	var list []tailConsumer
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fail(CodeInvalidRequest, 400, "The setting tail_consumers is not a list of the form [{\"service\": \"name\"}].")
	}
	if len(list) > maxTailConsumers {
		return nil, fail(CodeInvalidRequest, 400, "There are %d tail consumers; at most %d are allowed.", len(list), maxTailConsumers)
	}
	return list, nil
}

// checkConsumers refuses a tail worker that is not there or has no tail handler.
func (s *Service) checkConsumers(ctx context.Context, sc scope, raw json.RawMessage) error {
	list, err := parseConsumers(raw)
	if err != nil {
		return err
	}
	for _, c := range list {
		switch {
		case c.Namespace != "":
			return fail(CodeNotOffered, 400, "The tail consumer %s is in a dispatch namespace, which this release does not offer.", clip(c.Service))
		case c.Environment != "" && c.Environment != "production":
			return fail(CodeNotOffered, 400, "The tail consumer %s names the environment %q; only production is offered. Name the Worker of that environment itself.", clip(c.Service), clip(c.Environment))
		case c.Service == sc.script:
			return fail(CodeInvalidConsumer, 400, "The Worker %s cannot be its own tail consumer.", sc.script)
		}
		u, err := s.liveUnit(ctx, scope{sc.account, c.Service})
		if errors.Is(err, ErrNoRoute) {
			return fail(CodeInvalidConsumer, 400, "The tail consumer %s does not exist, or has no deployment. Deploy it first.", clip(c.Service))
		}
		if err != nil {
			return internal("read the tail consumer", err)
		}
		if !slices.Contains(u.doc.Handlers, workerd.EventTail) {
			return fail(CodeInvalidConsumer, 400, "The tail consumer %s has no tail handler. Export one and deploy it first.", clip(c.Service))
		}
	}
	return nil
}

// consume tells the hub which tail workers get a script's events.
func (s *Service) consume(sc scope, raw json.RawMessage) {
	list, err := parseConsumers(raw)
	if err != nil { // it was checked when it was set
		s.log.Error("tail consumers of a script are not readable", "script", sc.script, "error", err)
		return
	}
	scripts := make([]tail.Script, len(list))
	for i, c := range list {
		scripts[i] = tail.Script{Account: sc.account, Name: c.Service}
	}
	s.o.Tails.SetConsumers(tail.Script{Account: sc.account, Name: sc.script}, scripts)
}

// ConsumeAll begins to deliver to tail workers. The server calls it once, when the
// hub knows this service.
func (s *Service) ConsumeAll(ctx context.Context) error {
	rows, err := s.db().QueryContext(ctx, `SELECT account_id, name, json_extract(settings, '$.tail_consumers') FROM scripts WHERE json_extract(settings, '$.tail_consumers') IS NOT NULL`)
	if err != nil {
		return internal("read the tail consumers", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var sc scope
		var raw string
		if err := rows.Scan(&sc.account, &sc.script, &raw); err != nil {
			return internal("read the tail consumers", err)
		}
		s.consume(sc, json.RawMessage(raw))
	}
	if err := rows.Err(); err != nil {
		return internal("read the tail consumers", err)
	}
	return nil
}

// TailProducers returns the names of the scripts whose events a script gets as
// their tail worker, sorted; none for a script that does not exist.
func (s *Service) TailProducers(ctx context.Context, account, name string) ([]string, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT DISTINCT s.name FROM scripts s, json_each(json_extract(s.settings, '$.tail_consumers')) c
		WHERE s.account_id = ? AND json_extract(s.settings, '$.tail_consumers') IS NOT NULL AND json_extract(c.value, '$.service') = ? ORDER BY s.name`, account, name)
	if err != nil {
		return nil, internal("list the producers of the tail worker", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var producer string
		if err := rows.Scan(&producer); err != nil {
			return nil, internal("list the producers of the tail worker", err)
		}
		out = append(out, producer)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("list the producers of the tail worker", err)
	}
	return out, nil
}

// DeliverTail has a tail worker handle a batch of events and returns when it has.
func (s *Service) DeliverTail(consumer tail.Script, items json.RawMessage, from []tail.ConsumedEvent) {
	if !s.join() {
		return
	}
	defer s.wg.Done()
	ctx, cancel := context.WithTimeout(context.Background(), tailTimeout)
	defer cancel()
	defer s.untilKilled(cancel)()
	ray, version := telemetry.NewRay(), ""
	sc := scope{consumer.Account, consumer.Name}
	inv := s.o.Tails.Begin(sc.account, sc.script, "", ray)
	out, err := s.deliver(ctx, sc, ray, &version, inv, &workerd.Event{Type: workerd.EventTail, Events: items})
	inv.End(tail.Consumed{Events: from}, cmp.Or(out.Outcome, telemetry.OutcomeUnknown))
	if err != nil {
		s.log.Warn("events were not delivered to a tail worker", "ray", ray, "account", sc.account, "script", sc.script, "version", version, "events", len(from), "error", err)
	}
}
