package gitrepo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Service is what a client of the smart HTTP protocol (gitprotocol-http(5)) asks
// for.
type Service string

// The services.
const (
	UploadPack  Service = "git-upload-pack"  // fetch
	ReceivePack Service = "git-receive-pack" // push
)

// command is git's own name of it.
func (v Service) command() string { return strings.TrimPrefix(string(v), "git-") }

// protocolEnv passes on which version of the protocol a client speaks, if it is
// one that there is.
func protocolEnv(protocol string) []string {
	switch protocol {
	case "version=1", "version=2":
		return []string{"GIT_PROTOCOL=" + protocol}
	}
	return nil
}

// Advertise writes the references of a repository, with which every exchange
// begins. A full repository is [ErrFull] for a push.
func (s *Store) Advertise(ctx context.Context, id string, v Service, protocol string, w io.Writer) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	if v == ReceivePack {
		if err := s.checkRoom(dir); err != nil {
			return err
		}
	}
	var first string
	if protocol != "version=2" {
		first = pktLine("# service="+string(v)+"\n") + flushPkt
	}
	out := &prefixed{w: w, first: first}
	return s.run(ctx, command{
		repo: dir, dir: dir, env: protocolEnv(protocol), out: out,
		args: []string{v.command(), "--stateless-rpc", "--advertise-refs", dir},
	})
}

// prefixed writes something first, but only once there is something to follow: an
// answer that has not begun can still become an error.
type prefixed struct {
	w     io.Writer
	first string
}

// Write implements io.Writer.
func (p *prefixed) Write(b []byte) (int, error) {
	if p.first != "" {
		if _, err := io.WriteString(p.w, p.first); err != nil {
			return 0, err
		}
		p.first = ""
	}
	return p.w.Write(b)
}

// Upload answers a fetch.
func (s *Store) Upload(ctx context.Context, id, protocol string, in io.Reader, w io.Writer) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	return s.run(ctx, command{
		repo: dir, dir: dir, env: protocolEnv(protocol), in: in, out: w,
		args: []string{UploadPack.command(), "--stateless-rpc", dir},
	})
}

// Push is a push that git has done with, whose answer is not at its end.
type Push struct {
	// Changes are the branches that it moved.
	Changes []Change
	band    *sideband
}

// Live reports whether the client shows what is said.
func (p *Push) Live() bool { return p.band != nil && p.band.wrote }

// Say shows lines in the terminal that pushes ("remote: …"). Empty text keeps the
// connection alive. Without Live it does nothing.
func (p *Push) Say(text string) error {
	if !p.Live() {
		return nil
	}
	return p.band.say(text)
}

// End ends the answer.
func (p *Push) End() error {
	if p.band == nil {
		return nil
	}
	return p.band.end()
}

// Receive takes a push. The changes it made are given to record while no other
// push runs; once that has returned nil they are its own to remember, and with an
// error, or after a crash, [Store.Interrupted] has them, with note. What comes of
// in is git's to check; it is not read further than git does.
func (s *Store) Receive(ctx context.Context, id string, note json.RawMessage, in io.Reader, w io.Writer, record func(ctx context.Context, changes []Change) error) (*Push, error) {
	dir, err := s.path(id)
	if err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.checkRoom(dir); err != nil {
		return nil, err
	}
	before, err := s.heads(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := s.writeMark(dir, &mark{Note: note, Heads: before}); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(in, maxPkt)
	out, push := w, &Push{}
	if wantsSideband(br) {
		push.band = &sideband{w: w}
		out = push.band
	}
	runErr := s.run(ctx, command{repo: dir, dir: dir, in: br, out: out, args: []string{ReceivePack.command(), "--stateless-rpc", dir}})
	// From here on it does not matter whether the client is still there.
	ctx = context.WithoutCancel(ctx)
	if runErr != nil {
		// A git that was ended has not removed what it had in quarantine.
		if err := s.cleanUp(dir); err != nil {
			return nil, errors.Join(runErr, err)
		}
	}
	after, err := s.heads(ctx, dir)
	if err != nil {
		return nil, errors.Join(runErr, err) // the mark stays
	}
	push.Changes = changes(before, after)
	if len(push.Changes) > 0 {
		if err := record(ctx, push.Changes); err != nil {
			return nil, errors.Join(runErr, err)
		}
	}
	if err := s.o.FS.Remove(filepath.Join(dir, markName)); err != nil {
		return nil, errors.Join(runErr, err)
	}
	if runErr != nil && !push.Live() {
		return nil, runErr
	}
	return push, nil // git has said itself what went wrong
}

// checkRoom refuses a push into a repository that has outgrown its bound, or this
// machine's.
func (s *Store) checkRoom(dir string) error {
	size, err := folderSize(dir)
	if err != nil {
		return fmt.Errorf("gitrepo: size of the repository: %w", err)
	}
	if size > s.o.MaxRepo {
		return fmt.Errorf("%w: %d of %d", ErrFull, size, s.o.MaxRepo)
	}
	return nil
}

func folderSize(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a push that runs moves files
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// markName is the file that says that a push began and was not recorded.
const markName = "selvage-push.json"

type mark struct {
	Note  json.RawMessage `json:"note,omitempty"`
	Heads Heads           `json:"heads"`
}

func (s *Store) writeMark(dir string, m *mark) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("gitrepo: note the push: %w", err)
	}
	if err := s.o.FS.WriteFile(filepath.Join(dir, markName), raw, 0o600); err != nil {
		return fmt.Errorf("gitrepo: note the push: %w", err)
	}
	return nil
}

// Interrupted is a push whose changes nobody recorded.
type Interrupted struct {
	ID      string
	Note    json.RawMessage
	Changes []Change
}

// Interrupted finds the pushes that a crash cut off, and removes what such pushes
// left in quarantine. It is called before any push is taken. [Store.Recorded]
// ends one.
func (s *Store) Interrupted(ctx context.Context) ([]Interrupted, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	var out []Interrupted
	for _, id := range ids {
		dir, err := s.path(id)
		if err != nil {
			return nil, err
		}
		if err := removeAll(filepath.Join(dir, indexPrefix+"*")); err != nil {
			return nil, err
		}
		raw, err := os.ReadFile(filepath.Join(dir, markName)) //nolint:gosec // in our own folder
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var m mark
		if err == nil {
			err = json.Unmarshal(raw, &m)
		}
		if err != nil {
			return nil, fmt.Errorf("gitrepo: note of a push: %w", err)
		}
		if err := s.cleanUp(dir); err != nil {
			return nil, err
		}
		after, err := s.heads(ctx, dir)
		if err != nil {
			return nil, err
		}
		out = append(out, Interrupted{ID: id, Note: m.Note, Changes: changes(m.Heads, after)})
	}
	return out, nil
}

// Recorded says that the changes of an interrupted push are on disk elsewhere.
func (s *Store) Recorded(id string) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	return s.o.FS.Remove(filepath.Join(dir, markName))
}

// removeAll removes what a pattern matches.
func removeAll(pattern string) error {
	left, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("gitrepo: clean up: %w", err)
	}
	for _, p := range left {
		if err := os.RemoveAll(p); err != nil {
			return fmt.Errorf("gitrepo: clean up: %w", err)
		}
	}
	return nil
}

// cleanUp removes what a killed git left: objects in quarantine and lock files. No
// other push runs; a checkout may, and has an index of its own.
func (s *Store) cleanUp(dir string) error {
	if err := removeAll(filepath.Join(dir, "objects", "tmp_objdir-*")); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of a checkout that has ended
		}
		if err != nil {
			return err
		}
		// A reference cannot end in .lock, so nothing else is called so.
		if !d.IsDir() && strings.HasSuffix(p, ".lock") && !strings.HasPrefix(d.Name(), indexPrefix) {
			return s.o.FS.Remove(p)
		}
		return nil
	})
}

// collectAbove is the number of packs from which on a repository is repacked.
const collectAbove = 24

// Collect repacks a repository that had many pushes and drops what no branch or
// tag leads to.
func (s *Store) Collect(ctx context.Context, id string) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) <= collectAbove {
		return err
	}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return s.run(ctx, command{repo: dir, dir: dir, args: []string{"gc", "--quiet", "--prune=1.hour.ago"}})
}
