package instances

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Collected says what Collect removed.
type Collected struct{ Images, Layers int }

// Collect removes unpacked layers of which no image has been used for a while and
// none runs. They are unpacked again when they are needed.
func (s *Service) Collect(ctx context.Context) (Collected, error) {
	var out Collected
	if s.o.Driver == nil {
		return out, nil
	}
	gone, err := s.retire(&out)
	if err != nil {
		return out, err
	}
	var failed []error
	for _, dir := range gone {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		failed = append(failed, os.RemoveAll(dir))
	}
	return out, errors.Join(failed...)
}

// retire forgets images and renames the folders of their layers, so that nobody finds
// them, while no image is made ready.
func (s *Service) retire(out *Collected) ([]string, error) {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	inUse := make(map[*image]bool)
	for _, in := range s.here("") {
		inUse[in.image] = true
	}
	keep := make(map[string]bool)
	s.mu.Lock()
	for key, img := range s.images {
		if !inUse[img] && time.Since(img.used) > s.o.KeepImages {
			delete(s.images, key)
			out.Images++
			continue
		}
		for _, dir := range img.layers {
			keep[dir] = true
		}
	}
	s.mu.Unlock()
	for img := range inUse {
		for _, dir := range img.layers {
			keep[dir] = true
		}
	}
	entries, err := os.ReadDir(s.layers)
	if err != nil {
		return nil, fmt.Errorf("instances: folder of layers: %w", err)
	}
	var gone []string
	for _, e := range entries {
		dir := filepath.Join(s.layers, e.Name())
		if keep[dir] {
			continue
		}
		if !strings.HasSuffix(dir, partial) {
			if !s.settled() {
				continue
			}
			if err := fsx.Rename(dir, dir+partial); err != nil {
				return gone, err
			}
			dir += partial
		}
		gone = append(gone, dir)
		out.Layers++
	}
	return gone, nil
}

// settled reports whether the platform runs for so long that layers of which no image
// is known are of no use: after a start none is known.
func (s *Service) settled() bool { return time.Since(s.begun) > s.o.KeepImages }
