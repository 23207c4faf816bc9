package workers

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/tail"
)

const (
	maxTags        = 100
	maxTag         = 1024 // bytes
	maxEgressRules = 256
)

func (r *scriptRow) public() Script {
	return Script{MigrationTag: r.migrationTag, Account: r.scope.account, Name: r.scope.script, Tag: r.id, CreatedAt: r.createdAt, ModifiedAt: r.modifiedAt, Settings: r.settings}
}

// Script returns a script with its live deployment and version, and its latest
// version. The error is CodeNotFound when there is none.
func (s *Service) Script(ctx context.Context, account, name string) (Script, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return Script{}, err
	}
	out := row.public()
	if err := s.addVersions(ctx, row, &out); err != nil {
		return Script{}, err
	}
	return out, nil
}

func (s *Service) addVersions(ctx context.Context, row *scriptRow, out *Script) error {
	latest, err := s.latestVersion(ctx, row.id)
	if err != nil {
		return err
	}
	if latest != nil {
		v := latest.public(row.scope)
		out.Latest = &v
	}
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil || live == nil {
		return err
	}
	d := live.public()
	out.Deployment = &d
	if latest != nil && latest.id == live.doc.serves() {
		out.Live = out.Latest
		return nil
	}
	serving, err := s.version(ctx, row.id, live.doc.serves())
	if err != nil {
		return err
	}
	v := serving.public(row.scope)
	out.Live = &v
	return nil
}

// Scripts lists the scripts of an account by name, with what [Service.Script] returns of each.
func (s *Service) Scripts(ctx context.Context, account string) ([]Script, error) {
	found, err := s.scriptRows(ctx, account)
	if err != nil {
		return nil, internal("list the Workers", err)
	}
	out := make([]Script, 0, len(found))
	for _, row := range found {
		sc := row.public()
		if err := s.addVersions(ctx, row, &sc); err != nil {
			return nil, err
		}
		out = append(out, sc)
	}
	return out, nil
}

func (s *Service) scriptRows(ctx context.Context, account string) ([]*scriptRow, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT `+scriptColumns+` FROM scripts s WHERE s.account_id = ? AND s.name NOT LIKE 'pages:%' ORDER BY s.name`, account)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var found []*scriptRow
	for rows.Next() {
		row, err := scanScript(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

// References returns what would break if the script were deleted, which is
// nothing for a script that does not exist.
func (s *Service) References(ctx context.Context, account, name string) (References, error) {
	callers, sites, err := s.LiveBindings(ctx, account, typeService, name)
	if err != nil {
		return References{}, err
	}
	out := References{ServicesIncoming: slices.DeleteFunc(callers, func(c string) bool { return c == name })}
	if out.DurableObjects, err = s.objectReferences(ctx, scope{account, name}); err != nil {
		return References{}, err
	}
	more, err := s.objectSites(ctx, scope{account, name})
	out.Sites = slices.Compact(slices.Sorted(slices.Values(append(sites, more...))))
	return out, err
}

// DeleteScript deletes a script with all its versions, deployments and secrets.
// Requests in flight finish. Without force it refuses (CodeReferenced) while
// [Service.References] names something. The error is CodeNotFound when there is
// no such script.
func (s *Service) DeleteScript(ctx context.Context, account, name string, force bool) error { //nolint:revive // a flag of the API
	sc := scope{account, name}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return err
	}
	refs, err := s.References(ctx, account, name)
	if err != nil {
		return err
	}
	if !force && !refs.Empty() {
		if len(refs.Sites) > 0 {
			return fail(CodeReferenced, 409, "Functions of Pages projects refer to the Worker %s: %s. Deploy them without the binding first, or delete with force.", name, strings.Join(refs.Sites, ", "))
		}
		return fail(CodeReferenced, 409, "Other Workers refer to the Worker %s. Change them first, or delete with force.", name)
	}
	if producers, err := s.TailProducers(ctx, account, name); err != nil {
		return err
	} else if !force && len(producers) > 0 {
		return fail(CodeReferenced, 409, "The Worker %s is the tail worker of %s. Change them first, or delete with force.", name, strings.Join(producers, ", "))
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM scripts WHERE id = ?`, row.id) // and what refers to it
		return err
	})
	if err != nil {
		return internal("delete the Worker", err)
	}
	s.hosts.forget(name)
	s.zones.stale("") // its routes and custom domains went with it
	s.crons.Set(scheduleKey{row.id, sc}, nil)
	s.consume(sc, nil)
	s.o.Tails.DeleteScript(tail.Script{Account: account, Name: name})
	for _, u := range s.unitsOf(sc) {
		u.discard()
	}
	s.alarms.set(sc, time.Time{}, nil)
	if s.o.ForgetCache != nil {
		s.o.ForgetCache(cacheZone(sc))
	}
	s.removeLater() //nolint:contextcheck // it outlives the call
	return nil
}

// unitsOf returns the units of a script that are in memory.
func (s *Service) unitsOf(sc scope) []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*unit
	for _, p := range s.units {
		if u := p.Value(); u != nil && u.scope == sc {
			out = append(out, u)
		}
	}
	return out
}

// change applies edit to the settings of a script and saves them.
func (s *Service) change(ctx context.Context, sc scope, edit func(*scriptRow) error) (Settings, error) {
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return Settings{}, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return Settings{}, err
	}
	if err := edit(row); err != nil {
		return Settings{}, err
	}
	if err := s.commit(ctx, &change{script: row, settings: true}); err != nil {
		return Settings{}, err
	}
	s.hosts.forget(sc.script)
	row.settings.WorkersDev, row.settings.Previews = row.workersDev, row.previews
	return row.settings, nil
}

// PatchSettings changes the settings that are not versioned and returns all of them.
func (s *Service) PatchSettings(ctx context.Context, account, name string, p SettingsPatch) (Settings, error) {
	sc := scope{account, name}
	out, err := s.change(ctx, sc, func(row *scriptRow) error {
		if err := p.check(); err != nil {
			return err
		}
		if err := s.checkConsumers(ctx, sc, p.TailConsumers); err != nil {
			return err
		}
		row.settings.apply(p)
		return nil
	})
	if err == nil && p.TailConsumers != nil {
		s.consume(sc, out.TailConsumers)
	}
	return out, err
}

// SetSubdomain says whether the script answers on its workers hostname, and its
// versions on preview hostnames; previews nil means as enabled.
func (s *Service) SetSubdomain(ctx context.Context, account, name string, enabled bool, previews *bool) (Settings, error) {
	return s.change(ctx, scope{account, name}, func(row *scriptRow) error {
		row.workersDev, row.previews = enabled, enabled
		if previews != nil {
			row.previews = *previews
		}
		return nil
	})
}

// SetEgress says which private addresses the script may reach. Its processes
// are replaced: those that run finish their requests with the old rules.
func (s *Service) SetEgress(ctx context.Context, account, name string, p EgressPolicy) error {
	sc := scope{account, name}
	_, err := s.change(ctx, sc, func(row *scriptRow) error {
		if len(p.Allow) > maxEgressRules {
			return fail(CodeInvalidRequest, 400, "There are %d egress rules; at most %d are allowed.", len(p.Allow), maxEgressRules)
		}
		for _, r := range p.Allow {
			if err := r.check(); err != nil {
				return err
			}
		}
		row.settings.Egress = p
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range s.unitsOf(sc) {
		u.replace()
	}
	return nil
}

// check refuses what the egress door would refuse when a process starts.
func (r EgressRule) check() error {
	switch {
	case !r.Prefix.IsValid():
		return fail(CodeInvalidRequest, 400, "An egress rule has no valid prefix. Write it as 10.0.0.0/8 or fd00::/8.")
	case (r.FromPort == 0) != (r.ToPort == 0) || r.ToPort < r.FromPort:
		return fail(CodeInvalidRequest, 400, "The egress rule for %s has the ports %d to %d, which are no range. Leave both out for all ports.", r.Prefix, r.FromPort, r.ToPort)
	case r.Prefix.Addr().Is4In6() && r.Prefix.Bits() < 96:
		return fail(CodeInvalidRequest, 400, "The egress rule for %s mixes IPv4 and IPv6. Write an IPv4 prefix as IPv4.", r.Prefix)
	}
	return nil
}

// replace lets the next request start a new process.
func (u *unit) replace() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stale = u.starting != nil // it may have read the old rules
	u.closeAll()
}

func (p *SettingsPatch) check() error {
	if p.Tags != nil {
		if len(*p.Tags) > maxTags {
			return fail(CodeInvalidRequest, 400, "There are %d tags; at most %d are allowed.", len(*p.Tags), maxTags)
		}
		for _, t := range *p.Tags {
			if t == "" || len(t) > maxTag || !utf8.ValidString(t) || strings.ContainsFunc(t, isControl) {
				return fail(CodeInvalidRequest, 400, "The tag %q is not allowed.", clip(t))
			}
		}
	}
	if p.Logpush != nil && *p.Logpush {
		return fail(CodeNotOffered, 400, "The setting logpush asks for %s, which this release does not offer. Remove it from the configuration.", logpush)
	}
	for name, raw := range map[string]json.RawMessage{"observability": p.Observability, "tail_consumers": p.TailConsumers} {
		if raw != nil && (len(raw) > 1<<16 || !json.Valid(raw)) {
			return fail(CodeInvalidRequest, 400, "The setting %s is not JSON, or is too large.", name)
		}
	}
	return nil
}

func (s *Settings) apply(p SettingsPatch) {
	if p.Logpush != nil {
		s.Logpush = *p.Logpush
	}
	if p.Tags != nil {
		s.Tags = slices.Clone(*p.Tags)
	}
	set := func(field *json.RawMessage, raw json.RawMessage) {
		switch {
		case raw == nil:
		case bytes.Equal(bytes.TrimSpace(raw), []byte("null")):
			*field = nil
		default:
			*field = slices.Clone(raw)
		}
	}
	set(&s.Observability, p.Observability)
	set(&s.TailConsumers, p.TailConsumers)
	if emptyJSON(s.TailConsumers) {
		s.TailConsumers = nil
	}
}

// stored returns the settings without what has columns of its own.
func (s Settings) stored() Settings {
	s.WorkersDev, s.Previews = false, false
	return s
}

// Instances lists the processes that run, by script and version.
func (s *Service) Instances() []InstanceInfo {
	s.mu.Lock()
	running := make([]*Instance, 0, len(s.running))
	for in := range s.running {
		running = append(running, in)
	}
	s.mu.Unlock()
	out := make([]InstanceInfo, 0, len(running))
	for _, in := range running {
		info := InstanceInfo{
			Account: in.u.scope.account, Script: in.u.scope.script, Version: in.u.version,
			PID: in.proc.Pid(), Requests: in.requests.Load(), StartedAt: in.started,
		}
		info.InFlight, info.Draining = in.inFlight()
		rss, cpu, err := in.proc.Usage()
		if err == nil { // it may have ended since
			info.RSS, info.CPU = rss, cpu
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b InstanceInfo) int {
		return cmp.Or(strings.Compare(a.Script, b.Script), strings.Compare(a.Version, b.Version), a.StartedAt.Compare(b.StartedAt))
	})
	return out
}
