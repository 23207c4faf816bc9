package builds

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/selvage-dev/selvage/internal/gitrepo"
)

// Advertise answers the first request of a fetch or a push. The repository of a
// site is made with its first.
func (s *Service) Advertise(ctx context.Context, account, project string, v gitrepo.Service, protocol string, w io.Writer) error {
	site, err := s.site(ctx, account, project)
	if err != nil {
		return err
	}
	if err := s.o.Repos.Ensure(ctx, site.ID, site.Branch); err != nil {
		return err
	}
	return s.o.Repos.Advertise(ctx, site.ID, v, protocol, w)
}

// Upload answers a fetch.
func (s *Service) Upload(ctx context.Context, account, project, protocol string, in io.Reader, w io.Writer) error {
	site, err := s.site(ctx, account, project)
	if err != nil {
		return err
	}
	if !s.o.Repos.Exists(site.ID) {
		return gitrepo.ErrNotFound
	}
	return s.o.Repos.Upload(ctx, site.ID, protocol, in, w)
}

// Receive takes a push, and shows in the terminal that pushes what becomes of its
// builds until they are over. The builds do not depend on somebody watching.
func (s *Service) Receive(ctx context.Context, account, project string, in io.Reader, w io.Writer) error {
	site, err := s.site(ctx, account, project)
	if err != nil {
		return err
	}
	if err := s.o.Repos.Ensure(ctx, site.ID, site.Branch); err != nil {
		return err
	}
	raw, err := json.Marshal(note{account, project})
	if err != nil {
		return fmt.Errorf("builds: note the push: %w", err)
	}
	var made []*Build
	push, err := s.o.Repos.Receive(ctx, site.ID, raw, in, w, func(ctx context.Context, changes []gitrepo.Change) error {
		made, err = s.record(ctx, site, changes)
		return err
	})
	if err != nil {
		return err
	}
	if push.Live() {
		s.narrate(ctx, push, made)
	}
	return push.End()
}

// narrate shows the builds of a push. An error means that nobody is there any more.
func (s *Service) narrate(ctx context.Context, push *gitrepo.Push, made []*Build) {
	moved := 0
	for _, c := range push.Changes {
		if c.Commit == "" {
			if push.Say(fmt.Sprintf("Branch %s was deleted; what was deployed of it stays.\n", c.Branch)) != nil {
				return
			}
			continue
		}
		moved++
	}
	if moved > len(made) && push.Say(fmt.Sprintf("%d of the branches are not built: one push builds at most %d.\n", moved-len(made), maxPushed)) != nil {
		return
	}
	for _, b := range made {
		if err := push.Say(fmt.Sprintf("\n%s of %s, branch %s\n", short(b.Commit), b.Project, b.Branch)); err != nil {
			return
		}
		if b.Status == Skipped {
			if push.Say("Not built: "+b.Reason+"\n") != nil {
				return
			}
			continue
		}
		if push.Say(s.position(b.ID)) != nil {
			return
		}
		var gone error
		err := s.Follow(ctx, b.Account, b.Project, b.ID, func(lines []Line) bool {
			var text strings.Builder
			for _, l := range lines {
				text.WriteString(l.Text)
				text.WriteByte('\n')
			}
			gone = push.Say(text.String())
			return gone == nil
		})
		if err != nil || gone != nil {
			return
		}
		if s.stopping() {
			_ = push.Say("The platform is stopping. The build goes on with its next start.\n")
			return
		}
	}
}

func (s *Service) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// position says how many builds are before one.
func (s *Service) position(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, j := range s.queue {
		if j.build.ID == id {
			return fmt.Sprintf("Queued as build %s; %d before it. It is built whether you wait or not.\n", id, i+len(s.busy))
		}
	}
	return "Build " + id + "\n"
}

func short(commit string) string { return commit[:min(len(commit), 8)] }
