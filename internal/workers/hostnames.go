package workers

import (
	"context"
	"strings"
)

// CustomHosts lists the hostnames of all accounts' custom domains that are enabled.
func (s *Service) CustomHosts(ctx context.Context) ([]string, error) {
	return s.texts(ctx, "list the custom domains", `SELECT hostname FROM custom_domains WHERE enabled ORDER BY hostname`)
}

// NamesHost reports whether a custom domain or a route of a zone is for a host by its very name.
func (s *Service) NamesHost(ctx context.Context, host string) (bool, error) {
	const what = "look up a host"
	found, err := s.texts(ctx, what, `SELECT hostname FROM custom_domains WHERE hostname = ? AND enabled`, host)
	if err != nil || len(found) > 0 {
		return len(found) > 0, err
	}
	patterns, err := s.texts(ctx, what, `SELECT pattern FROM zone_routes WHERE script_id IS NOT NULL AND instr(lower(pattern), ?) > 0`, host)
	if err != nil {
		return false, err
	}
	for _, p := range patterns {
		p = strings.ToLower(p)
		if _, rest, ok := strings.Cut(p, "://"); ok {
			p = rest
		}
		if name, _, _ := strings.Cut(p, "/"); name == host {
			return true, nil
		}
	}
	return false, nil
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
