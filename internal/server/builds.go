package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/builds"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/gitrepo"
	"github.com/selvage-dev/selvage/internal/pages"
)

// openBuilds makes the repositories that take pushes and the service that builds
// what is pushed. It comes after the sites, which it deploys.
func (s *Server) openBuilds(ctx context.Context) error {
	c := s.cfg.Load()
	repos, err := gitrepo.Open(gitrepo.Options{
		Dir: filepath.Join(s.store.Dir, "git"), FS: s.store.FS, Log: s.log, Isolation: s.isolation, MaxPush: int64(c.Builds.PushSize),
	})
	if err != nil {
		return err
	}
	if repos.Git() == "" {
		s.log.WarnContext(ctx, "this machine has no git, so sites take no pushes: install it and start again")
	}
	var dial func(ctx context.Context, network, address string) (net.Conn, error)
	if c.Builds.Network == config.NetworkPublic {
		if dial, err = s.bindings.Dialer(); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, which builds run: %w", err)
	}
	s.builds, err = builds.New(ctx, builds.Options{
		Program: self, MaxCode: int64(c.Limits.ScriptSize),
		Store: s.store, Repos: repos, Sites: buildSites{s}, Log: s.log, Now: s.o.Now, Dir: filepath.Join(s.store.Dir, "builds"),
		Isolation: s.isolation, Dial: dial, Path: strings.Split(c.Builds.Path, ":"), Concurrent: c.Builds.Concurrent, Timeout: c.Builds.Timeout,
		Memory: int64(c.Builds.Memory), Processes: c.Builds.Processes, Disk: int64(c.Builds.Disk),
	})
	if err != nil {
		return err
	}
	s.onClose("builds", func(ctx context.Context) error { return s.builds.Close(ctx) })
	return nil
}

func (s *Server) sweepBuilds(ctx context.Context) {
	if err := s.builds.Sweep(ctx); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "sweep of the repositories failed; it is tried again in an hour", "error", err)
	}
}

// buildSites gives builds the projects of the sites.
type buildSites struct{ s *Server }

// buildConfig is what counts of a project's build_config.
type buildConfig struct {
	Command string `json:"build_command"`
	Output  string `json:"destination_dir"`
	Root    string `json:"root_dir"`
}

// Site implements builds.Sites.
func (b buildSites) Site(ctx context.Context, account, project string) (*builds.Site, error) {
	p, err := b.s.pages.Project(ctx, account, project)
	if e, ok := errors.AsType[*pages.Error](err); ok && e.Code == pages.CodeProjectNotFound {
		return nil, nil //nolint:nilnil // that there is none is no error, as the interface says
	}
	if err != nil {
		return nil, err
	}
	var bc buildConfig
	if len(p.Build) > 0 {
		if err := json.Unmarshal(p.Build, &bc); err != nil {
			return nil, fmt.Errorf("build_config of the project %s: %w", p.Name, err)
		}
	}
	return &builds.Site{
		ID: p.ID, Account: p.Account, Name: p.Name, Branch: p.Branch, Command: strings.TrimSpace(bc.Command), Root: bc.Root, Output: bc.Output,
		Production: buildEnvironment(&p.Configs.Production), Preview: buildEnvironment(&p.Configs.Preview), URL: b.s.pages.URL(b.s.pages.Hostname(p.Name)),
	}, nil
}

// buildEnvironment has the variables that are no secrets: those stay with the Functions.
func buildEnvironment(c *pages.Config) builds.Environment {
	out := builds.Environment{Vars: make(map[string]string), Date: c.Date, Flags: c.Flags}
	for name, v := range c.Vars {
		if !v.Secret() {
			out.Vars[name] = v.Text
		}
	}
	return out
}

const (
	maxRuleFile    = 4 << 20 // bytes of _headers, say
	commitMessage  = 384     // bytes that sites keep of one
	buildSourceTag = "git"
	maxSiteLog     = 256 << 10 // bytes of a build's log that its deployment has too
	logLineCost    = 64
)

// Deploy implements builds.Sites. Contents that the platform has are not stored
// again; the deployment is one transaction of the sites'.
func (b buildSites) Deploy(ctx context.Context, site *builds.Site, q *builds.Deploy, log func(string)) (builds.Deployed, error) {
	d := &siteDeploy{
		buildSites: b, q: q, request: pages.DeployRequest{
			Manifest: make(map[string]string, len(q.Files)), Source: buildSourceTag,
			Commit: pagesCommit(q), Built: pagesBuilt(q),
		},
		hashes: make(map[string]string, len(q.Files)),
	}
	if err := d.read(ctx); err != nil {
		return builds.Deployed{}, refusedDeploy(err)
	}
	if err := d.upload(ctx, site, log); err != nil {
		return builds.Deployed{}, refusedDeploy(err)
	}
	if err := d.code(ctx); err != nil {
		return builds.Deployed{}, refusedDeploy(err)
	}
	out, err := b.s.pages.Deploy(ctx, site.Account, site.Name, &d.request)
	if err != nil {
		return builds.Deployed{}, refusedDeploy(err)
	}
	lines, err := b.s.pages.Log(ctx, site.Account, site.Name, out.ID)
	if err != nil {
		return builds.Deployed{}, err
	}
	for _, l := range lines[min(len(d.request.Built.Log), len(lines)):] {
		log(l.Line)
	}
	if !out.Succeeded {
		return builds.Deployed{ID: out.ID}, &builds.RefusedError{Text: "the deployment " + out.ID + " was refused: see the lines above"}
	}
	return builds.Deployed{ID: out.ID, URL: out.URL}, nil
}

// DeployFailed implements builds.Sites.
func (b buildSites) DeployFailed(ctx context.Context, site *builds.Site, q *builds.Deploy) (builds.Deployed, error) {
	d, err := b.s.pages.DeployFailed(ctx, site.Account, site.Name, &pages.DeployRequest{Source: buildSourceTag, Commit: pagesCommit(q), Built: pagesBuilt(q)})
	return builds.Deployed{ID: d.ID}, err
}

func pagesCommit(q *builds.Deploy) pages.Commit {
	return pages.Commit{Branch: q.Branch, Hash: q.Commit, Message: cutText(q.Message, commitMessage)}
}

// pagesBuilt is a build in the words of the sites, whose stages are those of the
// original platform: what is installed and put together belongs to its build.
func pagesBuilt(q *builds.Deploy) *pages.Built {
	out := &pages.Built{}
	size := 0
	for _, l := range q.Log {
		if size += len(l.Text) + logLineCost; size > maxSiteLog {
			out.Log = append(out.Log, pages.LogLine{Time: l.Time, Line: `[what follows is in the log of the build, see "selvage pages builds logs"]`})
			if last := q.Log[len(q.Log)-1]; last != l {
				out.Log = append(out.Log, pages.LogLine{Time: last.Time, Line: last.Text})
			}
			break
		}
		out.Log = append(out.Log, pages.LogLine{Time: l.Time, Line: l.Text})
	}
	done := make(map[string]*builds.Stage)
	for i := range q.Stages {
		st := q.Stages[i]
		if st.Name == "install" || st.Name == "compile" {
			st.Name = pages.StageBuild
		}
		if before := done[st.Name]; before != nil {
			st.StartedAt = before.StartedAt
		}
		done[st.Name] = &st
	}
	for _, name := range []string{pages.StageQueued, pages.StageInitialize, pages.StageClone, pages.StageBuild} {
		st := pages.Stage{Name: name, Status: "idle"}
		if name == pages.StageInitialize && done[pages.StageClone] != nil {
			st.StartedAt, st.EndedAt, st.Status = done[pages.StageClone].StartedAt, done[pages.StageClone].StartedAt, pages.Succeeded
		}
		if d := done[name]; d != nil {
			st.StartedAt, st.EndedAt, st.Status = d.StartedAt, d.EndedAt, string(d.Status)
		}
		out.Stages = append(out.Stages, st)
	}
	return out
}

// refusedDeploy tells what whoever pushed can do something about from what they
// cannot.
func refusedDeploy(err error) error {
	if e, ok := errors.AsType[*pages.Error](err); ok && e.Status < 500 {
		return &builds.RefusedError{Text: e.Message, Err: err}
	}
	if e, ok := errors.AsType[*pages.RefusedError](err); ok {
		return &builds.RefusedError{Text: e.Text, Err: err}
	}
	return err
}

// siteDeploy is a folder on its way to a deployment.
type siteDeploy struct {
	buildSites

	q       *builds.Deploy
	request pages.DeployRequest
	hashes  map[string]string // of contents → one file that has it
}

// read names the contents and takes the rule files out.
func (d *siteDeploy) read(ctx context.Context) error {
	for _, name := range d.q.Files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		switch name {
		case "_headers", "_redirects", "_routes.json":
			text, err := d.ruleFile(name)
			if err != nil {
				return err
			}
			r := &d.request.Rules
			*map[string]*string{"_headers": &r.Headers, "_redirects": &r.Redirects, "_routes.json": &r.Routes}[name] = text
			continue
		}
		hash, err := d.hash(name)
		if err != nil {
			return err
		}
		d.request.Manifest["/"+name] = hash
		d.hashes[hash] = name
	}
	return nil
}

func (d *siteDeploy) ruleFile(name string) (string, error) {
	f, err := d.q.Dir.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err == nil && len(b) > maxRuleFile {
		err = &builds.RefusedError{Text: fmt.Sprintf("the file %s has more than %d bytes", name, maxRuleFile)}
	}
	return string(b), err
}

// encoded gives the content of a file as base64 text to w.
func (d *siteDeploy) encoded(name string, w io.Writer) error {
	f, err := d.q.Dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	limit := int64(d.s.cfg.Load().Limits.AssetSize)
	enc := base64.NewEncoder(base64.StdEncoding, w)
	n, err := io.Copy(enc, io.LimitReader(f, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return &builds.RefusedError{Text: fmt.Sprintf("the file %q has more than %d bytes, the most that one may have (limits.asset_size)", name, limit)}
	}
	return enc.Close()
}

func (d *siteDeploy) hash(name string) (string, error) {
	h := assets.NewHasher()
	if err := d.encoded(name, h); err != nil {
		return "", err
	}
	ext := path.Ext(path.Base(name))
	if ext == path.Base(name) {
		ext = "" // a name that begins with its only dot
	}
	return h.Sum(strings.TrimPrefix(ext, ".")), nil
}

// uploadBatch is how many contents are recorded at a time.
const uploadBatch = 500

func (d *siteDeploy) upload(ctx context.Context, site *builds.Site, log func(string)) error {
	token, err := d.s.pages.UploadToken(ctx, site.Account, site.Name)
	if err != nil {
		return err
	}
	all := make([]string, 0, len(d.hashes))
	for hash := range d.hashes {
		all = append(all, hash)
	}
	missing, err := d.s.pages.Missing(ctx, token, all)
	if err != nil {
		return err
	}
	log(fmt.Sprintf("%d of %d contents are new", len(missing), len(all)))
	for len(missing) > 0 {
		n := min(len(missing), uploadBatch)
		// A new token each time: one that was given out at the start may have run out.
		if token, err = d.s.pages.UploadToken(ctx, site.Account, site.Name); err != nil {
			return err
		}
		if err := d.uploadSome(ctx, token, missing[:n]); err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

func (d *siteDeploy) uploadSome(ctx context.Context, token string, hashes []string) error {
	u, err := d.s.pages.Uploader(ctx, token)
	if err != nil {
		return err
	}
	defer u.Close()
	for _, hash := range hashes {
		if err := d.put(u, hash); err != nil {
			return err
		}
	}
	return u.Commit(ctx)
}

// put streams a file, of which little is in memory.
func (d *siteDeploy) put(u *pages.Uploader, hash string) error {
	name := d.hashes[hash]
	return u.Put(hash, client.ContentType(name), 0, func() io.ReadCloser {
		r, w := io.Pipe()
		go func() { _ = w.CloseWithError(d.encoded(name, w)) }()
		return r
	})
}

// code stores the modules of the Functions and takes over the settings of the commit.
func (d *siteDeploy) code(ctx context.Context) error {
	p := d.q.Site
	if p == nil {
		return nil
	}
	d.request.ConfigHash, d.request.Output = p.ConfigHash, p.Written
	if !p.Code {
		return nil
	}
	d.request.Rules.Routes = p.Routes
	metadata, err := json.Marshal(p.Metadata)
	if err != nil {
		return fmt.Errorf("write the metadata of the Functions: %w", err)
	}
	d.request.Bundle = &pages.Bundle{Metadata: metadata}
	for _, m := range p.Modules {
		blob, size, err := d.s.workers.PutModule(ctx, bytes.NewReader(m.Content))
		if err != nil {
			return refusedFunctions(err)
		}
		d.request.Bundle.Modules = append(d.request.Bundle.Modules, pages.Module{Name: m.Name, ContentType: m.Kind.ContentType(), Blob: blob, Size: size})
	}
	return nil
}

// cutText cuts a text to at most limit bytes, between two characters.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
