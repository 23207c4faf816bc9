package builds

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/gitrepo"
)

// Service queues and runs builds. It is safe for concurrent use.
type Service struct {
	o   Options
	ctx context.Context //nolint:containedctx // the life of the builds, which no request bounds
	end context.CancelCauseFunc
	wg  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queue  []*job            // oldest first
	jobs   map[string]*job   // queued and running, by id of the build
	busy   map[string]bool   // projects with a build that runs
	served map[string]uint64 // when the last build of a project was begun, in turns
	turn   uint64
	slots  []bool // that are taken
}

// job is a build that is not over.
type job struct {
	build Build // changed by whoever runs it, under mu of the service otherwise
	log   *buildLog
	// cancel ends it while it runs; nil before.
	cancel context.CancelCauseFunc
	slot   int
	done   chan struct{} // closed when it is over and on disk
}

// Causes for which a build is ended.
var (
	errCanceled = errors.New("canceled")
	errStopping = errors.New("the platform is stopping")
	errTimeout  = errors.New("time is up")
)

// maxAttempts is how often a build is begun.
const maxAttempts = 2

// New opens the service and goes on with what was queued. It must be closed.
func New(ctx context.Context, o Options) (*Service, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(o.workDir()); err != nil {
		return nil, fmt.Errorf("builds: remove what builds left: %w", err)
	}
	for _, dir := range []string{o.workDir(), o.cacheDir(), o.emptyDir()} {
		if err := o.Store.FS.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("builds: %w", err)
		}
	}
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	s := &Service{
		o: o, ctx: life, end: end, jobs: make(map[string]*job), busy: make(map[string]bool), served: make(map[string]uint64),
		slots: make([]bool, o.Concurrent),
	}
	if err := s.resume(ctx); err != nil {
		end(err)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule() //nolint:contextcheck // builds outlive the start
	return s, nil
}

func (o *Options) workDir() string  { return filepath.Join(o.Dir, "work") }
func (o *Options) cacheDir() string { return filepath.Join(o.Dir, "cache") }
func (o *Options) emptyDir() string { return filepath.Join(o.Dir, "empty") }

// resume queues what a stop or a crash left open.
func (s *Service) resume(ctx context.Context) error {
	pushes, err := s.o.Repos.Interrupted(ctx)
	if err != nil && !errors.Is(err, gitrepo.ErrNoGit) {
		return err
	}
	for _, p := range pushes {
		var n note
		if err := json.Unmarshal(p.Note, &n); err != nil {
			return fmt.Errorf("builds: note of a push: %w", err)
		}
		site, err := s.o.Sites.Site(ctx, n.Account, n.Project)
		if err != nil {
			return err
		}
		if site != nil && site.ID == p.ID {
			if _, err := s.record(ctx, site, p.Changes); err != nil {
				return err
			}
		}
		if err := s.o.Repos.Recorded(p.ID); err != nil {
			return err
		}
	}
	open, err := s.query(ctx, columns, `status IN ('queued', 'running') ORDER BY seq`)
	if err != nil {
		return err
	}
	for _, b := range open {
		if s.jobs[b.ID] != nil {
			continue // of an interrupted push
		}
		if b.Status == Running && b.Attempts >= maxAttempts {
			b.Status, b.Reason, b.EndedAt = Failed, fmt.Sprintf("the platform stopped during this build, %d times", b.Attempts), s.now()
			b.Log = append(b.Log, Line{b.EndedAt, "Error: " + b.Reason})
			if err := s.update(ctx, b); err != nil {
				return fmt.Errorf("builds: %w", err)
			}
			continue
		}
		again := b.Status == Running
		b.Status, b.Stages, b.Log = Queued, nil, nil
		j := s.add(b)
		if again {
			j.log.say("The platform stopped during this build; it begins again")
		}
	}
	return nil
}

// add makes the job of a queued build.
func (s *Service) add(b *Build) *job {
	j := &job{build: *b, log: newLog(s.o.Now, s.o.MaxLog), done: make(chan struct{})}
	s.jobs[b.ID] = j
	s.queue = append(s.queue, j)
	return j
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Close ends the builds that run, which begin again with the next start, and waits
// for them.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, j := range s.queue {
		j.log.close()
	}
	s.mu.Unlock()
	s.end(errStopping)
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// note is kept with a push while it runs.
type note struct {
	Account string `json:"account"`
	Project string `json:"project"`
}

// record queues the builds of a push and supersedes older ones of the same
// branches. When it returns, they are on disk.
func (s *Service) record(ctx context.Context, site *Site, changes []gitrepo.Change) ([]*Build, error) {
	var made []*Build
	for _, c := range changes {
		if c.Commit == "" {
			continue // deleted: its deployments stay
		}
		if len(made) == maxPushed {
			break
		}
		message, err := s.o.Repos.Message(ctx, site.ID, c.Commit)
		if err != nil {
			return nil, err
		}
		b := &Build{
			ID: uuid.NewString(), Account: site.Account, ProjectID: site.ID, Project: site.Name, Branch: c.Branch, Commit: c.Commit,
			Status: Queued, CreatedAt: s.now(), document: document{Message: message},
		}
		if word := skipWord(message); word != "" {
			b.Status, b.EndedAt, b.Reason = Skipped, b.CreatedAt, "the commit's message has "+word
		}
		made = append(made, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	old := s.superseded(made)
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, b := range made {
			if err := insert(ctx, tx, b); err != nil {
				return err
			}
		}
		for _, j := range old {
			doc, err := json.Marshal(&j.build.document)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE builds SET status = ?, document = ? WHERE id = ?`, Superseded, string(doc), j.build.ID); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM builds WHERE project_id = ?1 AND status NOT IN ('queued', 'running') AND seq <= (SELECT seq FROM builds WHERE project_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`, site.ID, keepBuilds)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("builds: queue: %w", err)
	}
	for _, j := range old {
		j.build.Status = Superseded
		s.drop(j)
	}
	for _, b := range made {
		if b.Status == Queued {
			s.add(b)
		}
	}
	s.schedule() //nolint:contextcheck // builds outlive the push
	return made, nil
}

// superseded returns queued builds of branches that get a newer one. The caller
// holds mu.
func (s *Service) superseded(made []*Build) []*job {
	var old []*job
	for _, j := range s.queue {
		for _, b := range made {
			if b.Status == Queued && j.build.ProjectID == b.ProjectID && j.build.Branch == b.Branch {
				j.build.EndedAt, j.build.Reason = s.now(), "a newer push of the branch came before it was begun"
				j.log.say("Superseded: %s", j.build.Reason)
				j.build.Log = j.log.all()
				old = append(old, j)
			}
		}
	}
	return old
}

// drop takes a job out of the queue and ends it. The caller holds mu.
func (s *Service) drop(j *job) {
	for i, q := range s.queue {
		if q == j {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			break
		}
	}
	delete(s.jobs, j.build.ID)
	j.log.close()
	close(j.done)
}

// skipWord returns the word in a commit's message that says that it is not to be
// built.
func skipWord(message string) string {
	low := strings.ToLower(message)
	for _, w := range []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip-ci]", "[ci-skip]", "[cf-pages-skip]"} {
		if strings.Contains(low, w) {
			return w
		}
	}
	return ""
}

// schedule begins builds as long as there is a slot and a project without one.
// The caller holds mu.
func (s *Service) schedule() {
	for !s.closed {
		slot := s.freeSlot()
		next := s.next()
		if slot < 0 || next == nil {
			return
		}
		for i, q := range s.queue {
			if q == next {
				s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
				break
			}
		}
		s.turn++
		s.served[next.build.ProjectID] = s.turn
		s.busy[next.build.ProjectID] = true
		s.slots[slot] = true
		next.slot = slot
		next.build.Status = Running
		ctx, cancel := context.WithCancelCause(s.ctx)
		next.cancel = cancel
		s.wg.Go(func() {
			defer cancel(nil)
			s.run(ctx, next)
		})
	}
}

func (s *Service) freeSlot() int {
	for i, taken := range s.slots {
		if !taken {
			return i
		}
	}
	return -1
}

// next returns the oldest queued build of the project that was served least
// recently, among those of which none runs.
func (s *Service) next() *job {
	var best *job
	for _, j := range s.queue {
		if s.busy[j.build.ProjectID] {
			continue
		}
		if best == nil || s.served[j.build.ProjectID] < s.served[best.build.ProjectID] {
			best = j
		}
	}
	return best
}

// finish records how a build ended and lets the next one begin.
func (s *Service) finish(j *job) {
	j.log.noteDropped()
	j.build.Log = j.log.all()
	// The platform may be stopping: that this build is over must be written anyhow.
	if err := s.update(context.WithoutCancel(s.ctx), &j.build); err != nil {
		s.o.Log.ErrorContext(s.ctx, "the end of a build could not be recorded; it runs again with the next start", "build", j.build.ID, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, j.build.ID)
	delete(s.busy, j.build.ProjectID)
	s.slots[j.slot] = false
	j.log.close()
	close(j.done)
	s.schedule()
}

// Cancel ends a build that is queued or runs. When it returns, the build is over.
func (s *Service) Cancel(ctx context.Context, account, project, id string) (Build, error) {
	if _, err := s.Build(ctx, account, project, id); err != nil {
		return Build{}, err
	}
	s.mu.Lock()
	j := s.jobs[id]
	switch {
	case j == nil:
		s.mu.Unlock()
		return Build{}, &Error{Code: CodeBuildEnded, Status: 409, Message: "The build is over already."}
	case j.cancel != nil:
		j.cancel(errCanceled)
		s.mu.Unlock()
	default:
		j.build.Status, j.build.EndedAt, j.build.Reason = Canceled, s.now(), "it was canceled before it was begun"
		j.log.say("Canceled before it was begun")
		j.build.Log = j.log.all()
		b := j.build
		s.drop(j)
		s.mu.Unlock()
		if err := s.update(ctx, &b); err != nil {
			return Build{}, fmt.Errorf("builds: cancel: %w", err)
		}
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		return Build{}, context.Cause(ctx)
	}
	return s.Build(ctx, account, project, id)
}

// pulse is how often a follower hears that a silent build is still there.
const pulse = 5 * time.Second

// Follow gives the lines of a build's log, those there are and, until it is over,
// those that come; nil in a silence.
func (s *Service) Follow(ctx context.Context, account, project, id string, yield func([]Line) bool) error {
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	b, err := s.Build(ctx, account, project, id)
	if err != nil {
		return err
	}
	if j == nil {
		if len(b.Log) > 0 {
			yield(b.Log)
		}
		return nil
	}
	return j.log.follow(ctx, pulse, yield)
}

// Sweep removes repositories, builds and caches of sites that are gone, and
// repacks repositories.
func (s *Service) Sweep(ctx context.Context) error {
	ids, err := s.o.Repos.IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		gone, err := s.gone(ctx, id)
		if err != nil {
			return err
		}
		if !gone {
			if err := s.o.Repos.Collect(ctx, id); err != nil {
				return err
			}
			continue
		}
		if err := s.o.Repos.Remove(ctx, id); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(s.o.cacheDir(), id)); err != nil {
			return fmt.Errorf("builds: remove a cache: %w", err)
		}
		err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM builds WHERE project_id = ?`, id)
			return err
		})
		if err != nil {
			return fmt.Errorf("builds: remove builds: %w", err)
		}
	}
	return nil
}

// gone says whether the site of a repository is no more. One that was never pushed
// to has no builds, and says nothing of its name: it is left.
func (s *Service) gone(ctx context.Context, id string) (bool, error) {
	last, err := s.query(ctx, listed, `project_id = ? ORDER BY seq DESC LIMIT 1`, id)
	if err != nil || len(last) == 0 {
		return false, err
	}
	site, err := s.o.Sites.Site(ctx, last[0].Account, last[0].Project)
	return err == nil && (site == nil || site.ID != id), err
}
