package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/remote"
)

func (s *Server) openAI(context.Context) error {
	c := s.cfg.Load().AI
	keys, err := readKeys(c.Keys)
	if err != nil {
		return err
	}
	o := ai.Options{Store: s.store, Log: s.log, Now: s.o.Now, Concurrent: c.Concurrent, Queue: c.Queue, Disk: int64(c.Disk), Idle: c.Idle, Memory: int64(c.Memory), Token: keys["hub"]}
	for _, hub := range c.Hubs {
		o.Hubs = append(o.Hubs, hub.String())
	}
	for _, u := range c.Upstreams {
		o.Upstreams = append(o.Upstreams, remote.Options{Name: u.Name, URL: u.URL, Key: keys[u.Name], FirstByte: c.FirstByte, Stall: c.Stall})
	}
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, ai.Route(r))
	}
	service, err := ai.New(o) //nolint:contextcheck // what is there is read to the end
	if err != nil {
		return err
	}
	s.ai = service
	s.onClose("models", func(context.Context) error { return service.Close() })
	if err := s.registry.Register(service.Collector()); err != nil {
		return fmt.Errorf("register the metrics of models: %w", err)
	}
	return nil
}

// readKeys reads the file of ai.keys. What is in it is in no error.
func readKeys(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	const most, others = 1 << 20, fs.FileMode(0o077)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the file of ai.keys: %w", err)
	}
	if info.Mode()&others != 0 {
		return nil, fmt.Errorf("the file of ai.keys can be read by others than its owner: chmod 600 %s", path)
	}
	if info.Size() > most {
		return nil, errors.New("the file of ai.keys is larger than 1 MiB")
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("the file of ai.keys: %w", err)
	}
	keys := make(map[string]string)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, key, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d of the file of ai.keys is not NAME=KEY", number)
		}
		keys[strings.TrimSpace(name)] = strings.TrimSpace(key)
	}
	return keys, nil
}
