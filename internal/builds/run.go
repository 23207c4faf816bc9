package builds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/gitrepo"
)

// Names of stages.
const (
	stageClone   = "clone_repo"
	stageInstall = "install"
	stageBuild   = "build"
	stageCompile = "compile"
	stageDeploy  = "deploy"
)

// run does a build from its begin to its end.
func (s *Service) run(ctx context.Context, j *job) {
	defer s.finish(j) //nolint:contextcheck // the next build has a life of its own
	b := &j.build
	b.StartedAt, b.Reason, b.EndedAt = s.now(), "", s.now()
	b.Attempts++
	b.Stages = []Stage{{Name: "queued", StartedAt: b.CreatedAt, EndedAt: b.StartedAt, Status: Succeeded}}
	if err := s.update(ctx, b); err != nil {
		s.conclude(ctx, j, err)
		return
	}
	j.log.say("Build %s", b.ID)
	limited, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, errTimeout)
	defer cancel()
	s.conclude(limited, j, s.steps(limited, j))
	s.recordFailure(limited, j)
}

// conclude puts the outcome into the build.
func (s *Service) conclude(ctx context.Context, j *job, err error) {
	b := &j.build
	b.EndedAt = s.now()
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	var say *failure
	switch {
	case err == nil:
		b.Status = Succeeded
	case errors.Is(err, errStopping):
		// Not its fault: as if it had not been begun.
		b.Status = Queued
		b.Attempts--
		j.log.say("The platform is stopping; the build begins again with its next start")
		return
	case errors.Is(err, errCanceled):
		b.Status, b.Reason = Canceled, "it was canceled"
		j.log.say("Canceled")
	case errors.Is(err, errTimeout):
		b.Status, b.Reason = Failed, fmt.Sprintf("it took longer than %s (builds.timeout)", s.o.Timeout)
		j.log.say("Error: %s", b.Reason)
	case errors.As(err, &say):
		b.Status, b.Reason = Failed, say.text
		j.log.say("Error: %s", say.text)
	default:
		b.Status, b.Reason = Failed, "the platform failed; its log has the cause under the id of the build"
		j.log.say("Error: %s", b.Reason)
		s.o.Log.ErrorContext(ctx, "a build failed for a reason of the platform's", "build", b.ID, "project", b.Project, "error", err)
	}
	if n := len(b.Stages); n > 0 && b.Stages[n-1].Status == Running {
		b.Stages[n-1].Status, b.Stages[n-1].EndedAt = b.Status, b.EndedAt
	}
}

// deployment is what the site is told of the build, as far as it is.
func (j *job) deployment() *Deploy {
	b := &j.build
	return &Deploy{Branch: b.Branch, Commit: b.Commit, Message: b.Message, Log: j.log.all(), Stages: slices.Clone(b.Stages)}
}

// recordFailure makes a failed build one of the site's deployments, where people
// look for it. That it has failed is known without it too.
func (s *Service) recordFailure(ctx context.Context, j *job) {
	b := &j.build
	if b.Status != Failed || b.Deployment != "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	site, err := s.o.Sites.Site(ctx, b.Account, b.Project)
	if err == nil && site != nil && site.ID == b.ProjectID {
		var d Deployed
		j.log.noteDropped()
		d, err = s.o.Sites.DeployFailed(ctx, site, j.deployment())
		b.Deployment = d.ID
	}
	if err != nil {
		s.o.Log.WarnContext(ctx, "a failed build could not be made a failed deployment", "build", b.ID, "error", err)
	}
}

// stage runs one step.
func (s *Service) stage(ctx context.Context, j *job, name string, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	b := &j.build
	b.Stages = append(b.Stages, Stage{Name: name, StartedAt: s.now(), Status: Running})
	if err := fn(); err != nil {
		return err
	}
	last := &b.Stages[len(b.Stages)-1]
	last.EndedAt, last.Status = s.now(), Succeeded
	return nil
}

func (s *Service) steps(ctx context.Context, j *job) error {
	b := &j.build
	site, err := s.o.Sites.Site(ctx, b.Account, b.Project)
	if err != nil {
		return err
	}
	if site == nil || site.ID != b.ProjectID {
		return failf("the project was deleted")
	}
	w, err := s.newWorkspace(b)
	if err != nil {
		return err
	}
	defer func() {
		if err := os.RemoveAll(w.dir); err != nil {
			s.o.Log.WarnContext(ctx, "the folder of a build could not be removed; the next start does", "build", b.ID, "error", err)
		}
	}()
	if err := s.stage(ctx, j, stageClone, func() error { return s.clone(ctx, j, w) }); err != nil {
		return err
	}
	packed, err := s.prepare(ctx, j, site, w)
	if err != nil {
		return err
	}
	return s.stage(ctx, j, stageDeploy, func() error { return s.deploy(ctx, j, site, w, packed) })
}

// clone writes the files of the commit.
func (s *Service) clone(ctx context.Context, j *job, w *workspace) error {
	b := &j.build
	j.log.say("Checking out %s", b.Commit)
	tree, err := s.o.Repos.Checkout(ctx, b.ProjectID, b.Commit, w.source(), gitrepo.Bounds{Files: s.o.MaxSource, Bytes: s.o.Disk})
	var refused *gitrepo.TreeError
	switch {
	case errors.As(err, &refused):
		return failf("%s", refused.Text)
	case err != nil:
		return err
	}
	j.log.say("%d files, %d bytes", tree.Files, tree.Bytes)
	for _, sub := range tree.Submodules {
		j.log.say("Warning: the submodule %s is left out: this release does not fetch from other repositories", clean([]byte(sub)))
	}
	return nil
}

// lockFiles are those of npm, in the order in which it looks for them.
func lockFiles() []string { return []string{"npm-shrinkwrap.json", "package-lock.json"} }

// prepare does all that runs in the sandbox: it installs what the project needs, runs its command, and puts its code
// together.
func (s *Service) prepare(ctx context.Context, j *job, site *Site, w *workspace) (*packedSite, error) {
	root, err := w.openSource()
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	dir, err := local("the root folder", site.Root)
	if err != nil {
		return nil, err
	}
	p := &packing{s: s, j: j, w: w, site: site, root: root, dir: dir}
	configured := p.configured()
	if site.Command == "" && !configured && !p.hasCode(site.Output) {
		return nil, nil //nolint:nilnil // nothing of this is there
	}
	if info, err := root.Stat(dir); err != nil || !info.IsDir() {
		return nil, failf("the root folder %q is not in the commit", dir)
	}
	if !s.o.Isolation.Confined() {
		return nil, p.unconfined()
	}
	env := s.environment(&j.build, site)
	box := &sandboxed{s: s, j: j, w: w, dir: dir, env: s.variables(&j.build, site, env.Vars)}
	if configured {
		settings, err := p.pack(ctx, box, true)
		if err != nil {
			return nil, err
		}
		if settings.ConfigHash != "" {
			box.env = s.variables(&j.build, site, settings.Vars)
		}
	}
	if site.Command != "" || p.hasCode(site.Output) {
		if err := s.install(ctx, j, site, w, box, root); err != nil {
			return nil, err
		}
	}
	if site.Command != "" {
		err := s.stage(ctx, j, stageBuild, func() error {
			j.log.say("$ %s", clean([]byte(site.Command)))
			return box.run(ctx, site.Command)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := w.keepCache(); err != nil {
		return nil, err
	}
	if !p.configured() && !p.hasCode(site.Output) {
		return nil, nil //nolint:nilnil // as above
	}
	var out *packedSite
	err = s.stage(ctx, j, stageCompile, func() error {
		out, err = p.pack(ctx, box, false)
		return err
	})
	return out, err
}

// install installs what a lock file names, if there is one.
func (s *Service) install(ctx context.Context, j *job, site *Site, w *workspace, box *sandboxed, root *os.Root) error {
	for _, name := range lockFiles() {
		lock, err := root.ReadFile(path.Join(box.dir, name))
		if err != nil {
			continue
		}
		if err := w.useCache(s.o.cacheDir(), site.ID, lock); err != nil {
			return err
		}
		return s.stage(ctx, j, stageInstall, func() error {
			j.log.say("$ npm ci")
			return box.run(ctx, "npm ci --no-audit --no-fund --prefer-offline")
		})
	}
	return nil
}

// environment is the one that a build's branch is deployed to.
func (s *Service) environment(b *Build, site *Site) *Environment {
	if b.Branch == site.Branch {
		return &site.Production
	}
	return &site.Preview
}

// variables are the environment of a command. What the platform sets wins.
func (s *Service) variables(b *Build, site *Site, vars map[string]string) []string {
	all := maps.Clone(vars)
	if all == nil {
		all = make(map[string]string)
	}
	maps.Copy(all, map[string]string{
		"PATH": strings.Join(s.o.Path, ":"), "HOME": insideHome, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1", "CI": "true",
		"CF_PAGES": "1", "CF_PAGES_COMMIT_SHA": b.Commit, "CF_PAGES_BRANCH": b.Branch, "CF_PAGES_URL": site.URL,
		"npm_config_cache": insideCache, "npm_config_update_notifier": "false", "npm_config_color": "false", "npm_config_progress": "false",
	})
	var out []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if k != "" && !strings.ContainsAny(k, "=\x00") && !strings.Contains(all[k], "\x00") {
			out = append(out, k+"="+all[k])
		}
	}
	return out
}

// local makes a path of the settings one below a folder.
func local(what, p string) (string, error) {
	p = path.Clean(strings.TrimLeft(p, "/"))
	if !filepath.IsLocal(p) {
		return "", failf("%s %q leads out of the repository", what, p)
	}
	return p, nil
}

// deploy makes the deployment of what is in the output folder.
func (s *Service) deploy(ctx context.Context, j *job, site *Site, w *workspace, packed *packedSite) error {
	b := &j.build
	dir, err := local("the root folder", site.Root)
	if err != nil {
		return err
	}
	out, err := local("the output folder", site.Output)
	if err != nil {
		return err
	}
	out = path.Join(dir, out)
	if packed != nil && packed.Output != "" {
		out = packed.Output // the wrangler file's
	}
	if out, err = local("the output folder", out); err != nil {
		return err
	}
	source, err := w.openSource()
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	root, err := source.OpenRoot(out)
	if err != nil {
		return failf("there is no output folder %q (destination_dir of the project), or it leads out of the repository", out)
	}
	defer func() { _ = root.Close() }()
	files, err := collect(root, s.o.MaxFiles)
	if err != nil {
		return err
	}
	if len(files) == 0 && (packed == nil || !packed.Code) {
		return failf("the output folder %q has no files", out)
	}
	j.log.say("Deploying %d files", len(files))
	q := j.deployment()
	q.Files, q.Dir, q.Site = files, root, packed
	q.Stages = q.Stages[:len(q.Stages)-1] // without this one
	d, err := s.o.Sites.Deploy(ctx, site, q, func(line string) { j.log.say("%s", line) })
	b.Deployment = d.ID
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return failf("%s", refused.Text)
	case err != nil:
		return err
	}
	b.Deployment, b.URL = d.ID, d.URL
	j.log.say("Deployed: %s", d.URL)
	return nil
}
