package workers

import (
	"context"
	"strings"
)

// CustomHosts lists the hostnames of all accounts' custom domains that are enabled.
func (s *Service) CustomHosts(ctx context.Context) ([]string, error) {
	return s.texts(ctx, "list the custom domains", `SELECT hostname FROM custom_domains WHERE enabled ORDER BY hostname`)
}

// HostOwner returns the worker that has a host by its very name, by a custom domain or a route of a zone; "" when none
// has. Of a host "*.example.com" it is one that has that, or a name right below.
func (s *Service) HostOwner(ctx context.Context, host string) (script string, err error) {
	const what = "look up a host"
	under, wild := strings.CutPrefix(host, "*.")
	found, err := s.texts(ctx, what, `SELECT d.hostname || ' ' || s.name FROM custom_domains d JOIN scripts s ON s.id = d.script_id WHERE d.enabled AND instr(d.hostname, ?) > 0
		UNION ALL SELECT lower(r.pattern) || ' ' || s.name FROM zone_routes r JOIN scripts s ON s.id = r.script_id WHERE instr(lower(r.pattern), ?) > 0`, under, under)
	if err != nil {
		return "", err
	}
	for _, line := range found {
		i := strings.LastIndexByte(line, ' ')
		name := line[:i]
		if _, rest, ok := strings.Cut(name, "://"); ok {
			name = rest
		}
		name, _, _ = strings.Cut(name, "/")
		if _, rest, ok := strings.Cut(name, "."); name == host || wild && ok && rest == under {
			return line[i+1:], nil
		}
	}
	return "", nil
}

// checkSite refuses a host at which a site answers: what a worker did with it would never be reached.
func (s *Service) checkSite(host string, code int) error {
	if s.o.Sites == nil {
		return nil
	}
	if project, ok := s.o.Sites.OfHost(host); ok {
		return fail(code, 409, "The Pages project %s answers at %s. Take the custom domain from it first: \"selvage domain remove\", or in the API.", project, host)
	}
	return nil
}

// texts reads rows of one text.
func (s *Service) texts(ctx context.Context, what, query string, args ...any) ([]string, error) {
	rows, err := s.db().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, internal(what, err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, internal(what, err)
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		return nil, internal(what, err)
	}
	return out, nil
}
