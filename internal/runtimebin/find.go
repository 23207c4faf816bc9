package runtimebin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// Where a program comes from.
const (
	OriginEmbedded    = "embedded"
	OriginDevelopment = "development"
	OriginOverride    = "override"
)

// versionTimeout bounds "workerd --version".
const versionTimeout = 10 * time.Second

var errNoDevelopment = errors.New("this binary was built without workerd inside; give one with --workerd or SELVAGE_WORKERD, or build with \"make build\"")

// Program is a workerd that can be started.
type Program struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Origin  string `json:"origin"`
}

// Embedded describes the program inside this binary; ok is false when there is
// none.
func Embedded() (m Meta, ok bool, err error) {
	packed, ok := embedded()
	if !ok {
		return Meta{}, false, nil
	}
	m, err = readMeta(strings.NewReader(packed))
	return m, true, err
}

// Describe says which program Find would return, changing nothing. An embedded
// one has the path it is or will be extracted to.
func Describe(ctx context.Context, dataDir, override string) (Program, error) {
	if override != "" {
		return overridden(ctx, override)
	}
	m, ok, err := Embedded()
	if err != nil {
		return Program{}, err
	}
	if ok {
		return Program{Path: target(dataDir, m), Version: m.Version, Origin: OriginEmbedded}, nil
	}
	path, err := development()
	if err != nil {
		return Program{}, err
	}
	v, err := Version(ctx, path)
	return Program{Path: path, Version: v, Origin: OriginDevelopment}, err
}

// Find returns the program to start: override when it is not empty, else the
// embedded one, extracted to dataDir if need be, else that of the source tree.
// The caller holds the data directory's lock.
func Find(ctx context.Context, dataDir, override string) (Program, error) {
	p, err := Describe(ctx, dataDir, override)
	if err != nil || p.Origin != OriginEmbedded {
		return p, err
	}
	p.Path, err = Extract(ctx, dataDir)
	return p, err
}

func overridden(ctx context.Context, path string) (Program, error) {
	v, err := Version(ctx, path)
	if err != nil {
		return Program{}, fmt.Errorf("%w; --workerd or SELVAGE_WORKERD must name a workerd that runs here", err)
	}
	return Program{Path: path, Version: v, Origin: OriginOverride}, nil
}

// Version runs the program at path and returns its version: that of the npm
// package it lies in, else the date it prints.
func Version(ctx context.Context, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at workerd: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("workerd %s is not an executable file", path)
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	var out []string
	p, err := supervise.Start(ctx, supervise.Spec{Path: path, Args: []string{"--version"}, Stdout: func(line []byte) {
		if len(out) < 2 {
			out = append(out, string(line))
		}
	}})
	if err != nil {
		return "", fmt.Errorf("run workerd --version: %w", err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return "", fmt.Errorf("run %s --version: no answer: %w", path, context.Cause(ctx))
	}
	if err := p.Err(); err != nil {
		return "", fmt.Errorf("run %s --version: %w", path, err)
	}
	date := ""
	if len(out) == 1 {
		date, _ = strings.CutPrefix(strings.TrimSpace(out[0]), "workerd ")
	}
	if date == "" || strings.ContainsAny(date, " \t") {
		return "", fmt.Errorf("%s --version prints %q, which no workerd does", path, strings.Join(out, "\n"))
	}
	if v := packageVersion(path); v != "" {
		return v, nil
	}
	return date, nil
}

// packageVersion reads the package.json two folders above the program, as npm
// lays it out. Empty when the program is not in such a package.
func packageVersion(path string) string {
	f, err := os.Open(filepath.Join(filepath.Dir(path), "..", "package.json"))
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	var p struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&p); err != nil || !strings.HasPrefix(p.Name, "@cloudflare/workerd-") {
		return ""
	}
	return p.Version
}

func target(dataDir string, m Meta) string {
	return filepath.Join(dataDir, "runtime", "workerd-"+m.Version+"-"+m.SHA256[:8])
}

// stamp is what is recorded of an extracted program beside it.
type stamp struct {
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
}

// Extract returns the path of the embedded program in dataDir, writing it when
// it is not there or not what it should be. The caller holds the data
// directory's lock.
func Extract(ctx context.Context, dataDir string) (string, error) {
	packed, ok := embedded()
	if !ok {
		return "", errNoDevelopment
	}
	defer forget()
	path, fresh, err := extract(dataDir, packed)
	if err != nil || !fresh {
		return path, err
	}
	// Once, so that a data directory on a file system mounted noexec is told of
	// here and not at the first request.
	if _, err := Version(ctx, path); err != nil {
		return "", fmt.Errorf("%w; is the data directory on a file system mounted noexec?", err)
	}
	return path, nil
}

// extract is Extract for any blob; fresh says that it wrote the program.
func extract(dataDir, packed string) (path string, fresh bool, err error) {
	m, err := readMeta(strings.NewReader(packed))
	if err != nil {
		return "", false, err
	}
	if m.OS != runtime.GOOS || m.Arch != runtime.GOARCH {
		return "", false, fmt.Errorf("this binary carries workerd for %s/%s, but runs on %s/%s", m.OS, m.Arch, runtime.GOOS, runtime.GOARCH)
	}
	path = target(dataDir, m)
	if unchanged(path, m) {
		return path, false, nil
	}
	if err := checkFile(path, m); err == nil {
		return path, false, record(path, m)
	}
	dir := filepath.Dir(path)
	if err := fsx.MkdirAll(dir, 0o755); err != nil {
		return "", false, fmt.Errorf("extract workerd: %w", err)
	}
	sweep(dir)
	var files fsx.FS
	f, err := files.CreateTemp(dir, "workerd")
	if err != nil {
		return "", false, fmt.Errorf("extract workerd: %w", err)
	}
	if err := errors.Join(unpack(files.Writer(f), strings.NewReader(packed), m), f.Chmod(0o755)); err != nil {
		return "", false, errors.Join(fmt.Errorf("extract workerd: %w", err), files.Discard(f))
	}
	if err := fsx.Commit(f, path); err != nil {
		return "", false, fmt.Errorf("extract workerd: %w", err)
	}
	return path, true, record(path, m)
}

// sweep removes the programs of other releases and what a crash left behind; a
// folder that cannot be read shows itself in the next step.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "workerd-") || fsx.IsTemp(entry.Name()) {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // tried again at the next release
		}
	}
}

func record(path string, m Meta) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the extracted workerd: %w", err)
	}
	data, err := json.Marshal(stamp{SHA256: m.SHA256, Size: info.Size(), ModTime: info.ModTime()})
	if err != nil {
		return fmt.Errorf("record the extracted workerd: %w", err)
	}
	if err := fsx.WriteFile(path+".json", data, 0o644); err != nil {
		return fmt.Errorf("record the extracted workerd: %w", err)
	}
	return nil
}

// unchanged reports whether the program is as it was when it was hashed last.
func unchanged(path string, m Meta) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o111 == 0 {
		return false
	}
	data, err := os.ReadFile(path + ".json") //nolint:gosec // in the data directory
	if err != nil {
		return false
	}
	var s stamp
	if err := json.Unmarshal(data, &s); err != nil {
		return false
	}
	return s.SHA256 == m.SHA256 && s.Size == m.Size && info.Size() == m.Size && info.ModTime().Equal(s.ModTime)
}

// Verify hashes the extracted program. It is nil when there is none embedded;
// fs.ErrNotExist when it was not extracted yet.
func Verify(dataDir string) error {
	m, ok, err := Embedded()
	if err != nil || !ok {
		return err
	}
	return checkFile(target(dataDir, m), m)
}

func checkFile(path string, m Meta) (err error) {
	f, err := os.Open(path) //nolint:gosec // in the data directory
	if err != nil {
		return fmt.Errorf("check workerd: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return fmt.Errorf("check workerd: %w", err)
	}
	if n != m.Size || !sameHash(sum, m.SHA256) {
		return fmt.Errorf("workerd %s is not the one this binary carries; the next start of selvage writes it again", path)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&0o111 == 0 {
		return fmt.Errorf("workerd %s is not executable", path)
	}
	return nil
}
