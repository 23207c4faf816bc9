package workers

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	typeService = "service"

	// Bounds on what leads to one script from the running ones.
	maxEndpoints  = 200
	maxProps      = 64 << 10 // bytes
	lookupTimeout = 5 * time.Second
)

// ServiceDoor is a socket through which a process calls another script.
type ServiceDoor struct {
	Socket string // file name in the private folder
	Callee *Callee
}

// serviceTable is what is known of calls between scripts.
type serviceTable struct {
	mu sync.Mutex
	// wanted counts the running processes that name an endpoint of a script.
	wanted map[scope]map[endpoint]int
	edges  map[[2]scope]*edge
	live   map[scope]*liveCallee
}

func (t *serviceTable) init() {
	t.wanted = make(map[scope]map[endpoint]int)
	t.edges = make(map[[2]scope]*edge)
	t.live = make(map[scope]*liveCallee)
}

// edge counts the calls of one script to another.
type edge struct {
	calls atomic.Int64
	refs  int // processes of the caller; under serviceTable.mu
}

// liveCallee is a script as its callers see it, as long as nothing is deployed.
type liveCallee struct {
	generation uint64
	route      *Route
	reaches    map[scope]bool // the scripts that its bindings lead to, over any number of steps
}

// checkServices refuses a version that binds what is not there, as far as that is known.
func (s *Service) checkServices(ctx context.Context, sc scope, doc *document) error {
	for i := range doc.Bindings {
		b := &doc.Bindings[i]
		if b.Service == nil || b.Service.Script == sc.script {
			continue // oneself is there once this version is
		}
		exists, err := s.scriptExists(ctx, scope{sc.account, b.Service.Script})
		if err != nil {
			return internal("look up the Worker that is bound", err)
		}
		if !exists {
			return fail(CodeServiceMissing, 400, "Could not resolve service binding '%s'. Target script '%s' not found. Please verify the target script and try again.", b.Name, clip(b.Service.Script))
		}
		l, err := s.services.liveOf(ctx, s, scope{sc.account, b.Service.Script})
		if err != nil || b.Service.Entrypoint == "" {
			continue // it may be deployed later
		}
		if known := l.route.unit.exported(); known != nil && !slices.Contains(*known, b.Service.Entrypoint) {
			return fail(CodeServiceMissing, 400, "Could not resolve service binding '%s'. The deployed version of '%s' has no entrypoint '%s'. Deploy a version that exports it, and try again.", b.Name, clip(b.Service.Script), clip(b.Service.Entrypoint))
		}
	}
	return nil
}

func (s *Service) scriptExists(ctx context.Context, sc scope) (bool, error) {
	var one int
	err := s.db().QueryRowContext(ctx, `SELECT 1 FROM scripts WHERE account_id = ? AND name = ?`, sc.account, sc.script).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// serviceRef is what a service binding names.
type serviceRef struct {
	Script     string          `json:"script"`
	Entrypoint string          `json:"entrypoint,omitempty"`
	Props      json.RawMessage `json:"props,omitempty"` // an object, compact, sorted by key; nil for an empty one
}

func (r *serviceRef) endpoint() endpoint { return endpoint{r.Entrypoint, string(r.Props)} }

// public returns the binding in the API's form.
func (r *serviceRef) public(name string) json.RawMessage {
	raw, err := json.Marshal(struct {
		Name        string          `json:"name"`
		Type        string          `json:"type"`
		Service     string          `json:"service"`
		Environment string          `json:"environment"`
		Entrypoint  string          `json:"entrypoint,omitempty"`
		Props       json.RawMessage `json:"props,omitempty"`
	}{name, typeService, r.Script, defaultEnvironment, r.Entrypoint, r.Props})
	if err != nil { // only when the stored JSON is damaged
		return json.RawMessage(`{"name":` + quote(name) + `,"type":"service"}`)
	}
	return raw
}

// defaultEnvironment is the one environment that a service has.
const defaultEnvironment = "production"

// parseService makes the stored form of a service binding.
func parseService(name string, raw json.RawMessage) (*serviceRef, error) {
	var in struct {
		Service     string          `json:"service"`
		Environment string          `json:"environment"`
		Entrypoint  string          `json:"entrypoint"`
		Props       json.RawMessage `json:"props"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, invalidScript("The binding %q of type service is not understood: %v.", name, err)
	}
	switch {
	case checkScriptName(in.Service) != nil:
		return nil, invalidScript("The binding %q of type service names no Worker: %q.", name, clip(in.Service))
	case in.Environment != "" && in.Environment != defaultEnvironment:
		return nil, fail(CodeNotOffered, 400, "The binding %q names the environment %q of a service, which has none. Bind the Worker by its full name instead.", name, clip(in.Environment))
	case len(in.Entrypoint) > maxBindingName:
		return nil, invalidScript("The entrypoint of the binding %q has more than %d bytes.", name, maxBindingName)
	case in.Entrypoint == "default":
		in.Entrypoint = ""
	}
	r := &serviceRef{Script: in.Service, Entrypoint: in.Entrypoint}
	props := bytes.TrimSpace(in.Props)
	if len(props) == 0 || string(props) == "null" {
		return r, nil
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(props))
	d.UseNumber()
	if len(props) > maxProps || d.Decode(&object) != nil {
		return nil, invalidScript("The props of the binding %q are not an object, or have more than %d bytes.", name, maxProps)
	}
	if len(object) == 0 {
		return r, nil
	}
	var err error
	if r.Props, err = json.Marshal(object); err != nil { // equal ones have equal text
		return nil, internal("read the props of a binding", err)
	}
	return r, nil
}

// serviceTargets returns what the version's service bindings name, each once,
// itself left out.
func (d *document) serviceTargets(self string) []serviceTarget {
	var out []serviceTarget
	for i := range d.Bindings {
		b := &d.Bindings[i]
		if b.Service == nil || b.Service.Script == self {
			continue
		}
		if t := (serviceTarget{b.Service.Script, b.Service.endpoint()}); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

type serviceTarget struct {
	script   string
	endpoint endpoint
}

func serviceSocket(i int) string { return "service-" + strconv.Itoa(i) + ".sock" }

// serviceBinding is what the process gets of a service binding.
func (d *document) serviceBinding(self string, b *binding) workerd.Binding {
	r := b.Service
	if r.Script == self {
		return workerd.Binding{Name: b.Name, Kind: workerd.SelfBinding, Entrypoint: r.Entrypoint, Props: string(r.Props), Calls: true}
	}
	i := slices.Index(d.serviceTargets(self), serviceTarget{r.Script, r.endpoint()})
	return workerd.Binding{Name: b.Name, Kind: workerd.FetcherBinding, Socket: serviceSocket(i), RPC: true, Calls: true}
}

// openServices notes what a process that starts will call. The release is called
// once that process is gone.
func (s *Service) openServices(u *unit) (doors []ServiceDoor, release func()) {
	t := &s.services
	targets := u.doc.serviceTargets(u.scope.script)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, target := range targets {
		to := scope{u.scope.account, target.script}
		key := [2]scope{u.scope, to}
		if t.edges[key] == nil {
			t.edges[key] = new(edge)
		}
		e := t.edges[key]
		e.refs++
		if t.wanted[to] == nil {
			t.wanted[to] = make(map[endpoint]int)
		}
		t.wanted[to][target.endpoint]++
		doors = append(doors, ServiceDoor{serviceSocket(i), &Callee{s: s, from: u.scope, to: to, endpoint: target.endpoint, edge: e}})
	}
	return doors, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, d := range doors {
			c := d.Callee
			if c.edge.refs--; c.edge.refs == 0 {
				delete(t.edges, [2]scope{c.from, c.to})
			}
			m := t.wanted[c.to]
			if m[c.endpoint]--; m[c.endpoint] == 0 {
				delete(m, c.endpoint)
			}
			if len(m) == 0 {
				delete(t.wanted, c.to)
			}
		}
	}
}

// wantedOf returns the endpoints of a script that running processes name, other
// than the default one.
func (t *serviceTable) wantedOf(sc scope) []endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []endpoint
	for e := range t.wanted[sc] {
		if e != (endpoint{}) && len(out) < maxEndpoints {
			out = append(out, e)
		}
	}
	return out
}

// liveOf returns the live deployment of a script, true to the last change that
// was acknowledged. The error is ErrNoRoute when there is none.
func (t *serviceTable) liveOf(ctx context.Context, s *Service, sc scope) (*liveCallee, error) {
	generation := s.hosts.generation()
	t.mu.Lock()
	l := t.live[sc]
	t.mu.Unlock()
	if l != nil && l.generation == generation {
		return l, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	route, err := s.deployedRoute(ctx, sc)
	if err != nil {
		return nil, err
	}
	l = &liveCallee{generation: generation, route: route, reaches: make(map[scope]bool)}
	for next := []*Route{route}; len(next) > 0; next = next[1:] {
		for _, target := range next[0].unit.doc.serviceTargets(next[0].Script) {
			to := scope{sc.account, target.script}
			if l.reaches[to] {
				continue
			}
			l.reaches[to] = true
			if r, err := s.deployedRoute(ctx, to); err == nil {
				next = append(next, r)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.live) > 4*len(t.wanted)+64 {
		clear(t.live)
	}
	t.live[sc] = l
	return l, nil
}

// deployedRoute is the route of a script's live deployment, on whichever hosts.
func (s *Service) deployedRoute(ctx context.Context, sc scope) (*Route, error) {
	d, err := scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM scripts s JOIN deployments d ON d.script_id = s.id
		WHERE s.account_id = ? AND s.name = ? ORDER BY d.sequence DESC LIMIT 1`, sc.account, sc.script))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, err
	}
	return s.liveRoute(ctx, d)
}
