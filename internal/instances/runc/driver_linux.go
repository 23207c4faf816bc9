package runc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
)

// defaultShift is the first user id of containers: above those that distributions
// give out, in a range of its own (systemd keeps 0x70000000 to 0x7fffffff for things
// like this; uids-gids of systemd).
const defaultShift = 0x7000_0000

// Options of [Open]; zero fields take the defaults that are named.
type Options struct {
	// Dir is the driver's folder, for what containers write.
	Dir string
	// Helper is this program; see [keeper.Options].
	Helper string
	Runc   string // path of runc; looked for where distributions put it
	Shift  int
	Log    *slog.Logger
}

// UnavailableError says why containers cannot run here, and what to do.
type UnavailableError struct{ Text string }

// Error returns the text.
func (e *UnavailableError) Error() string { return e.Text }

// Driver is the driver. It implements [driver.Driver].
type Driver struct {
	o      Options
	cgroup string // of all containers
	groups hierarchy

	mu     sync.Mutex
	keeper *keeper.Keeper
	closed bool
	all    map[string]*container
}

var _ driver.Driver = (*Driver)(nil)

// Find returns the path of runc. The error is an [*UnavailableError].
func Find() (string, error) {
	for _, path := range []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc", "/sbin/runc"} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &UnavailableError{"runc is not installed: install the package runc of the distribution"}
}

// Check finds out whether this machine can run containers. The error is an
// [*UnavailableError].
func Check() error {
	_, err := check(&Options{})
	return err
}

// check also finds runc, unless it is given, and where control groups are.
func check(o *Options) (groups hierarchy, err error) {
	if os.Geteuid() != 0 {
		return hierarchy{}, &UnavailableError{"containers need the platform to run as root"}
	}
	if o.Runc == "" {
		if o.Runc, err = Find(); err != nil {
			return hierarchy{}, err
		}
	}
	if groups, err = findHierarchy(); err != nil {
		return hierarchy{}, &UnavailableError{"this machine has no control groups that limit memory: " + err.Error()}
	}
	return groups, nil
}

// Open removes what a platform that was killed has left and returns the driver. The
// error is an [*UnavailableError] when this machine cannot run containers.
func Open(o Options) (*Driver, error) {
	o.Shift = cmp.Or(o.Shift, defaultShift)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	groups, err := check(&o)
	if err != nil {
		return nil, err
	}
	if err := fsx.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("runc: %w", err)
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("runc: %w", err)
	}
	if strings.ContainsAny(o.Dir, ":,\\") {
		return nil, &UnavailableError{"containers need a data directory without colons, commas and backslashes in its path, for these mean something to overlayfs"}
	}
	sum := sha256.Sum256([]byte(o.Dir))
	d := &Driver{o: o, cgroup: "/selvage-" + hex.EncodeToString(sum[:6]), groups: groups, all: make(map[string]*container)}
	return d, d.sweep()
}

// sweep removes what is left of containers that are gone.
func (d *Driver) sweep() error {
	if err := d.groups.sweep(d.cgroup); err != nil {
		return fmt.Errorf("runc: control groups that are left: %w", err)
	}
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return fmt.Errorf("runc: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(d.o.Dir, e.Name())); err != nil {
			return fmt.Errorf("runc: files of containers that are left: %w", err)
		}
	}
	return nil
}

// Name implements [driver.Driver].
func (d *Driver) Name() string { return "runc" }

// Shift implements [driver.Driver].
func (d *Driver) Shift() int { return d.o.Shift }

// Limits implements [driver.Driver].
func (d *Driver) Limits() []driver.Limit {
	version := "control groups, version 1"
	if d.groups.unified {
		version = "control groups, version 2"
	}
	return []driver.Limit{
		{Name: "memory", Enforced: true, Detail: version},
		{Name: "cpu", Enforced: true, Detail: version},
		{Name: "processes", Enforced: true, Detail: version},
		{Name: "disk", Enforced: false, Detail: "what a container writes is bounded by the disk of the platform only"},
	}
}

// Ready implements [driver.Driver].
func (d *Driver) Ready(ctx context.Context) error {
	_, err := d.running(ctx)
	return err
}

// mountPoint is where the keeper, in its own view of the machine, mounts what it
// writes: containers' root must be able to pass through the folders above it, which
// it cannot in the data directory.
func (d *Driver) mountPoint() (string, error) {
	for _, path := range []string{"/dev/shm", "/mnt", "/srv", "/media"} {
		if info, err := os.Stat(path); err == nil && info.IsDir() && !strings.HasPrefix(d.o.Dir+"/", path+"/") {
			return path, nil
		}
	}
	return "", &UnavailableError{"containers need one of the folders /dev/shm, /mnt, /srv and /media to exist, which stays as it is"}
}

// running returns the keeper, starting one when there is none.
func (d *Driver) running(ctx context.Context) (*keeper.Keeper, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.New("runc: the driver is closed")
	}
	if d.keeper != nil {
		select {
		case <-d.keeper.Done():
			d.o.Log.ErrorContext(ctx, "the keeper of containers has ended, and they with it; another one starts")
		default:
			return d.keeper, nil
		}
	}
	dir, err := d.mountPoint()
	if err != nil {
		return nil, err
	}
	k, err := keeper.Start(ctx, keeper.Options{Helper: d.o.Helper, Runc: d.o.Runc, Dir: dir, Home: d.o.Dir, Log: d.o.Log, OnExit: d.ended})
	if err != nil {
		return nil, err
	}
	d.keeper = k
	return k, nil
}

// ended is told by the keeper.
func (d *Driver) ended(id string, code int, oom bool) {
	d.mu.Lock()
	c := d.all[id]
	d.mu.Unlock()
	if c != nil {
		c.finish(driver.Exit{Code: code, OutOfMemory: oom})
	}
}

// Close implements [driver.Driver].
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	k := d.keeper
	all := make([]*container, 0, len(d.all))
	for _, c := range d.all {
		all = append(all, c)
	}
	d.mu.Unlock()
	if k != nil {
		k.Close() // with all that runs in it
	}
	for _, c := range all {
		_ = c.Remove(ctx) // its folders; the rest is gone
	}
	return d.sweep()
}
