package pages

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/selvage-dev/selvage/internal/assets"
)

// Service owns the sites. It is safe for concurrent use.
type Service struct {
	o       Options
	log     *slog.Logger
	hosts   hostCache
	reads   singleflight.Group // of routes, by generation and host
	domains domainIndex
	files   *assets.Cache // small assets of all sites
}

// New opens the service. Of projects it reads their custom domains alone: its cost does not grow with what is
// deployed.
func New(o Options) (*Service, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Service{o: o, log: o.Log, hosts: hostCache{limit: o.MaxEntries}, files: assets.NewCache(assets.DefaultCacheBytes)}
	if err := s.reloadDomains(context.Background()); err != nil {
		return nil, fmt.Errorf("pages: read the custom domains: %w", err)
	}
	return s, nil
}

func (s *Service) db() *sql.DB { return s.o.Store.DB.Read() }

func (s *Service) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return s.o.Store.DB.Write(ctx, fn)
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// zone is what all hosts of sites end in.
func (s *Service) zone() string { return ".pages." + s.o.Domain }

// Hostname returns where the production of a project answers.
func (s *Service) Hostname(project string) string { return project + s.zone() }

// URL returns the address of a host.
func (s *Service) URL(host string) string { return s.o.URL(host) }

func (s *Service) sealer(projectID string) sealer {
	return func(name, text string) ([]byte, error) {
		sealed, err := s.o.Store.Keys.Seal([]byte(text), secretContext(projectID, name))
		if err != nil {
			return nil, internal("seal a secret", err)
		}
		return sealed, nil
	}
}

func (s *Service) opener(projectID string) func(name string, sealed []byte) (string, error) {
	return func(name string, sealed []byte) (string, error) {
		text, err := s.o.Store.Keys.Open(sealed, secretContext(projectID, name))
		return string(text), err
	}
}

func secretContext(projectID, name string) []byte {
	return []byte("pages secret\x00" + projectID + "\x00" + name)
}
