package workers

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
)

// LiveBindings returns the names of the scripts whose deployed versions have a
// binding of the type that names the resource, and those of the sites whose code
// has one and serves: what breaks when it is deleted.
func (s *Service) LiveBindings(ctx context.Context, account, bindingType, id string) (scripts, sites []string, err error) {
	uses := func(b binding) bool {
		return b.Type == bindingType && (cmp.Or(b.NamespaceID, b.DatabaseID, b.IndexName) == id || b.Service != nil && b.Service.Script == id)
	}
	rows, err := s.db().QueryContext(ctx, `
		SELECT s.name, v.id, v.document FROM scripts s
		JOIN deployments d ON d.script_id = s.id AND d.sequence = (SELECT max(sequence) FROM deployments WHERE script_id = s.id)
		JOIN versions v ON v.script_id = s.id AND instr(d.document, v.id) > 0 AND instr(v.document, ?) > 0
		WHERE s.account_id = ? ORDER BY s.name`, id, account)
	if err == nil {
		_, scripts, err = bound(rows, uses)
	}
	if err != nil {
		return nil, nil, internal("look for Workers that use the resource", err)
	}
	// Of a site no version is deployed as far as this service knows.
	rows, err = s.db().QueryContext(ctx, `
		SELECT s.name, v.id, v.document FROM scripts s JOIN versions v ON v.script_id = s.id AND instr(v.document, ?) > 0
		WHERE s.account_id = ? AND s.name GLOB ? ORDER BY s.name, v.number DESC`, id, account, sitePrefix+"*")
	if err == nil {
		var versions [][2]string
		if versions, _, err = bound(rows, uses); err == nil {
			sites, err = s.liveSites(ctx, versions)
		}
	}
	if err != nil {
		return nil, nil, internal("look for sites that use the resource", err)
	}
	return scripts, sites, nil
}

// bound reads rows of name, version and document, and returns the versions that use
// something and the names of their scripts, each name once.
func bound(rows *sql.Rows, uses func(binding) bool) (versions [][2]string, names []string, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, version, raw string
		var doc document
		if err := rows.Scan(&name, &version, &raw); err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal([]byte(raw), &doc); err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(doc.Bindings, uses) {
			continue
		}
		versions = append(versions, [2]string{name, version})
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return versions, names, rows.Err()
}

// liveSites returns the names of the sites of which one of the versions serves.
func (s *Service) liveSites(ctx context.Context, versions [][2]string) ([]string, error) {
	if s.o.Sites == nil {
		return nil, nil
	}
	var out []string
	for _, v := range versions {
		name := strings.TrimPrefix(v[0], sitePrefix)
		if slices.Contains(out, name) {
			continue
		}
		live, err := s.o.Sites.Live(ctx, v[1])
		if err != nil {
			return nil, err
		}
		if live {
			out = append(out, name)
		}
	}
	return out, nil
}

// objectSites returns the names of the sites whose code serves and has a binding to
// a Durable Object class of the script.
func (s *Service) objectSites(ctx context.Context, sc scope) ([]string, error) {
	ids, err := column(s.db().QueryContext(ctx, `SELECT DISTINCT other.name || ' ' || v.id
		FROM scripts own JOIN object_namespaces n ON n.script_id = own.id
		JOIN object_bindings b ON b.namespace_id = n.id
		JOIN versions v ON v.id = b.version_id JOIN scripts other ON other.id = v.script_id
		WHERE own.account_id = ? AND own.name = ? AND other.name GLOB ?`, sc.account, sc.script, sitePrefix+"*"))
	var out []string
	if err == nil {
		var versions [][2]string
		for _, id := range ids {
			name, version, _ := strings.Cut(id, " ")
			versions = append(versions, [2]string{name, version})
		}
		out, err = s.liveSites(ctx, versions)
	}
	if err != nil {
		return nil, internal("find which sites bind the Durable Objects", err)
	}
	return out, nil
}
