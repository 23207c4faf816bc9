package workers

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// runNameLen is the length of the name of a process's folder.
const runNameLen = 10

func runName() string {
	var b [runNameLen / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func isRunName(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == runNameLen
}

// launch starts a process for the unit and its goroutine. The caller's start
// counts in s.wg, so that adding to it here is safe.
func (s *Service) launch(ctx context.Context, u *unit, claim *objectClaim) (_ *Instance, err error) {
	if err := s.takeSlot(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			<-s.slots
		}
	}()
	select {
	case s.starts <- struct{}{}:
		defer func() { <-s.starts }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	dir := filepath.Join(s.o.RunDir, runName())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("workers: run folder: %w", err)
	}
	var doors io.Closer
	defer func() {
		if err != nil {
			s.clean(dir, doors)
		}
	}()
	egress, err := s.egressOf(ctx, u.scope)
	if err != nil {
		return nil, err
	}
	services, release := s.openServices(u)
	defer func() {
		if err != nil {
			release()
		}
	}()
	site, err := s.siteOf(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("workers: site of %s: %w", u.scope.script, err)
	}
	doors, err = s.o.Doors.Open(ctx, dir, DoorSpec{
		Account: u.scope.account, Script: u.scope.script, Version: u.version, Site: site, Egress: egress,
		KV: u.doc.kvDoors(), CacheZone: cacheZone(u.scope), RateLimits: u.doc.rateLimits(), D1: u.doc.d1Doors(), VectorIndexes: u.doc.vectorDoors(), AI: u.doc.bindsAI(),
		Containers: u.doc.containerClasses(claim),
		Services:   append(services, s.objectDoors(u, claim)...),
	})
	if err != nil {
		return nil, fmt.Errorf("workers: open doors for %s: %w", u.scope.script, err)
	}
	w, err := s.worker(u, claim)
	if err != nil {
		return nil, err
	}
	proc, endpoints, err := s.startCallable(ctx, dir, w, u)
	if err != nil {
		s.count.failedStarts.Add(1)
		return nil, err
	}
	s.count.starts.Add(1)
	in := &Instance{
		u: u, proc: proc, limits: s.limitsOf(u.doc), pool: proc.Upstream(), dir: dir, doors: doors, started: time.Now(), lastUsed: time.Now(),
		endpoints: endpoints, release: release,
		stop: make(chan struct{}), drained: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}),
		claim: claim, quiet: make(chan struct{}),
	}
	in.hangup, in.hang = context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.running[in] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(in.run)
	s.tellNew(ctx, in)
	select {
	case s.launched <- struct{}{}:
	default:
	}
	return in, nil
}

func (s *Service) lineWriter(u *unit) func(workerd.LogLine) {
	to := s.o.OnLog
	if to == nil {
		return func(workerd.LogLine) {}
	}
	account, script, version := u.scope.account, u.scope.script, u.version
	return func(line workerd.LogLine) { to(account, script, version, line) }
}

// takeSlot waits until another process may run, stopping the one that was idle
// longest if there are too many.
func (s *Service) takeSlot(ctx context.Context) error {
	const again = 100 * time.Millisecond
	for {
		select {
		case s.slots <- struct{}{}:
			return nil
		default:
		}
		s.evict()
		t := time.NewTimer(again)
		select {
		case s.slots <- struct{}{}:
			t.Stop()
			return nil
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return &Error{
				Code: CodeBusy, Status: 503, Err: context.Cause(ctx),
				Message: fmt.Sprintf("All %d processes that may run have requests in flight. Try again, or raise the bound on running workers.", s.o.MaxProcesses),
			}
		}
	}
}

// evict stops the idle process that was used least recently.
func (s *Service) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	var oldest *Instance
	for in := range s.running {
		in.observe(at)
		n, closing := in.inFlight()
		if closing {
			return // one is on its way out already
		}
		if n == 0 && !in.hasContainers() && (oldest == nil || in.lastUsed.Before(oldest.lastUsed)) {
			oldest = in
		}
	}
	if oldest != nil && oldest.closeIdle() {
		s.log.Info("worker process stopped to make room", "script", oldest.u.scope.script, "version", oldest.u.version)
	}
}

// egressOf reads what a script may reach; a script that is being created has no rules.
func (s *Service) egressOf(ctx context.Context, sc scope) (EgressPolicy, error) {
	var raw string
	err := s.db().QueryRowContext(ctx, `SELECT settings FROM scripts WHERE account_id = ? AND name = ?`, sc.account, sc.script).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return EgressPolicy{}, nil
	}
	if err != nil {
		return EgressPolicy{}, fmt.Errorf("workers: settings of %s: %w", sc.script, err)
	}
	var settings Settings
	if err := json.Unmarshal([]byte(raw), &settings); err != nil {
		return EgressPolicy{}, fmt.Errorf("workers: settings of %s: %w", sc.script, err)
	}
	return settings.Egress, nil
}

// worker reads all that the process of the unit is started with. It is not
// kept: modules are large and secrets are open in it.
func (s *Service) worker(u *unit, claim *objectClaim) (*workerd.Worker, error) {
	w := &workerd.Worker{
		Account: u.scope.account, Script: u.scope.script, Version: u.version,
		ServiceWorker:      u.doc.BodyPart != "",
		CompatibilityDate:  cmp.Or(u.doc.CompatibilityDate, oldestCompatDate),
		CompatibilityFlags: u.doc.CompatibilityFlags,
		Egress:             true,
		Subrequests:        s.limitsOf(u.doc).subrequests,
		Cache:              true,
	}
	main := cmp.Or(u.doc.MainModule, u.doc.BodyPart)
	for _, m := range u.doc.Modules {
		kind, ok := moduleKind(m.ContentType)
		if !ok {
			continue // a source map
		}
		body, err := s.readBlob(m.Blob, m.Size)
		if err != nil {
			return nil, fmt.Errorf("workers: module %s of %s: %w", m.Name, u.scope.script, err)
		}
		w.Modules = append(w.Modules, workerd.Module{Name: m.Name, Kind: kind, Body: body})
		if last := len(w.Modules) - 1; m.Name == main {
			w.Modules[0], w.Modules[last] = w.Modules[last], w.Modules[0]
		}
	}
	u.addObjects(w, claim)
	u.addContainers(w)
	for i := range u.doc.Bindings {
		b := &u.doc.Bindings[i]
		if b.Type == typeAssets {
			w.Assets = b.Name
			continue
		}
		value, err := s.bindingValue(u, b, claim)
		if err != nil {
			return nil, fmt.Errorf("workers: binding %s of %s: %w", b.Name, u.scope.script, err)
		}
		w.Bindings = append(w.Bindings, value)
	}
	return w, nil
}

// bindingValue makes what the process gets of a stored binding.
func (s *Service) bindingValue(u *unit, b *binding, claim *objectClaim) (workerd.Binding, error) {
	v := workerd.Binding{Name: b.Name}
	var err error
	switch b.Type {
	case typePlainText:
		v.Kind, v.Text = workerd.TextBinding, b.Text
	case typeJSON:
		v.Kind, v.Text = workerd.JSONBinding, string(b.JSON)
	case typeSecretText:
		v.Kind = workerd.TextBinding
		v.Text, err = s.unseal(u.scope, b)
	case typeVersionMetadata:
		v.Kind = workerd.JSONBinding
		v.Text = `{"id":` + quote(u.version) + `,"tag":` + quote(u.doc.Annotations[AnnotationTag]) + `,"timestamp":` + quote(u.createdAt.Format("2006-01-02T15:04:05.000Z07:00")) + `}`
	case typeWasmModule:
		v.Kind = workerd.WasmBinding
		v.Data, err = s.readBlob(b.Blob, b.Size)
	case typeDataBlob:
		v.Kind = workerd.DataBinding
		v.Data, err = s.readBlob(b.Blob, b.Size)
	case typeDurableObject:
		return b.objectsBinding(claim), nil
	case typeTextBlob:
		v.Kind = workerd.TextBinding
		var text []byte
		text, err = s.readBlob(b.Blob, b.Size)
		v.Text = string(text)
	case typeD1:
		return u.doc.d1Binding(b)
	case typeAI:
		return aiBinding(b.Name), nil
	case typeVectorize:
		return u.doc.vectorBinding(b)
	case typeKVNamespace:
		return u.doc.kvBinding(b)
	case typeRateLimit:
		return b.RateLimit.binding(b.Name), nil
	case typeService:
		return u.doc.serviceBinding(u.scope.script, b), nil
	default:
		err = fmt.Errorf("type %q is of a newer release", b.Type)
	}
	return v, err
}

// readBlob reads a blob of which the size is known.
func (s *Service) readBlob(id string, size int64) ([]byte, error) {
	f, err := s.o.Store.Blobs.Open(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	body := make([]byte, size)
	if _, err := io.ReadFull(f, body); err != nil {
		return nil, fmt.Errorf("blob %s is shorter than the %d bytes recorded: %w", id, size, err)
	}
	return body, nil
}
