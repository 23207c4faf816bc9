package builds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/selvage-dev/selvage/internal/bundle/site"
	"github.com/selvage-dev/selvage/internal/sandbox"
)

// functionsDir is the folder of Functions, below the project's.
const functionsDir = "functions"

// packedSite is what the platform's own program made of a commit.
type packedSite = site.Packed

// packing puts the code of a commit together. That happens in the sandbox too, by this platform's own program: no code
// of the commit runs, but the bundler follows whatever path an import, a link or a tsconfig.json names, and there these
// lead to nothing but the project, and to what every build may read.
type packing struct {
	s    *Service
	j    *job
	w    *workspace
	site *Site
	root *os.Root // the commit
	dir  string   // of the project in it
}

// configured says whether the project has a wrangler file, of whatever kind.
func (p *packing) configured() bool {
	for dir := p.dir; ; dir = path.Dir(dir) {
		for _, name := range []string{"wrangler.json", "wrangler.jsonc", "wrangler.toml", ".wrangler/deploy/config.json"} {
			if _, err := p.root.Lstat(path.Join(dir, name)); err == nil {
				return true
			}
		}
		if dir == "." {
			return false
		}
	}
}

// hasCode says whether there is code for the server.
func (p *packing) hasCode(output string) bool {
	// A link counts wherever it leads: what that means is said when it is followed, in the sandbox.
	if info, err := p.root.Lstat(path.Join(p.dir, functionsDir)); err == nil && (info.IsDir() || info.Mode()&fs.ModeSymlink != 0) {
		return true
	}
	_, err := p.root.Lstat(path.Join(p.dir, path.Clean("/"+output), "_worker.js"))
	return err == nil
}

// unconfined says why a commit is refused on a machine that cannot confine builds.
func (p *packing) unconfined() error {
	const why = `"selvage doctor" says what is missing. Plain files without a build command, a wrangler file or Functions are deployed as they are`
	if p.site.Command != "" {
		return failf("this machine cannot confine a build, so the command %q is not run; %s", p.site.Command, why)
	}
	return failf("this machine cannot confine a build, so the commit's code and settings are not read; %s", why)
}

// pack runs the program. With settings it reads the wrangler file and nothing else.
func (p *packing) pack(ctx context.Context, box *sandboxed, settings bool) (*packedSite, error) { //nolint:revive // two calls, side by side
	o := &p.s.o
	if o.Program == "" {
		return nil, failf("this platform was built into another program and cannot put the commit's code together")
	}
	env := p.s.environment(&p.j.build, p.site)
	environment := "preview"
	if env == &p.site.Production {
		environment = "production"
	}
	const inside = "/build/platform"
	args := []string{
		"pages", "pack", "--dir", path.Join(insideSource, p.dir), "--base", insideSource, "--environment", environment,
		"--output", path.Join(insideSource, p.dir, path.Clean("/"+p.site.Output)), "--compatibility-date", env.Date, "--to", insidePacked + "/site.json",
	}
	for _, flag := range env.Flags {
		args = append(args, "--compatibility-flag", flag)
	}
	if settings {
		args = append(args, "--settings")
	} else {
		p.j.log.say("Putting the Functions together")
	}
	err := box.start(ctx, &program{
		path: inside, args: args,
		readOnly: []sandbox.Bind{{Source: o.Program, Target: inside}}, work: []sandbox.Bind{{Source: p.w.packed(), Target: insidePacked}},
	})
	if say, ok := errors.AsType[*failure](err); ok {
		return nil, failf("the commit's settings or its code are not right, see the lines above (%s)", say.text)
	}
	if err != nil {
		return nil, err
	}
	return p.read()
}

// read reads what the program has written. Its inputs were hostile, so its output may be.
func (p *packing) read() (*packedSite, error) {
	root, err := os.OpenRoot(p.w.packed())
	if err != nil {
		return nil, fmt.Errorf("builds: open what was packed: %w", err)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat("site.json")
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, fmt.Errorf("builds: look for what was packed: %w", err)
	}
	f, err := root.Open("site.json")
	if err != nil {
		return nil, fmt.Errorf("builds: open what was packed: %w", err)
	}
	defer func() { _ = f.Close() }()
	// Contents are written as base64 text; the rest is settings and _routes.json.
	const settings = 4 << 20
	limit := p.s.o.MaxCode/3*4 + settings
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("builds: read what was packed: %w", err)
	}
	if int64(len(text)) > limit {
		return nil, failf("the Functions are larger than %d bytes, the bound for all their modules together (limits.script_size)", p.s.o.MaxCode)
	}
	out, err := site.Unpack(text)
	if err != nil {
		return nil, failf("the commit's code could not be read: %v", err)
	}
	return out, nil
}
