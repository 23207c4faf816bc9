package sandbox

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of every mount that is made; what is executed comes from bind mounts.
const rootFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// devices exist in every root: what a C library or a language runtime falls back to.
func devices() []string { return []string{"/dev/null", "/dev/urandom"} }

// A source was opened before the new root covered anything.
type source struct {
	fd       int
	target   string
	folder   bool
	writable bool
	device   bool
}

// makeRoot makes a root that holds what s names, and nothing else, and enters it.
// The mount point is the private folder, which is there in any case; what was in
// it is reached through its descriptor.
func makeRoot(s *Spec) error {
	_ = unix.Sethostname([]byte("worker")) // so that it does not learn the real one; some service managers forbid it
	// Nothing that is mounted here shall appear outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	sources, err := openSources(s)
	if err != nil {
		return err
	}
	root := s.Dir
	if err := unix.Mount("selvage", root, "tmpfs", rootFlags, "size=64k,nr_inodes=256,mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for i := range sources {
		if err := sources[i].mount(root); err != nil {
			return err
		}
	}
	if s.System {
		if err := addSystem(root); err != nil {
			return err
		}
		return seal(root, s.WorkDir)
	}
	// workerd wants to know whether a config is appended to its executable, and says so when it cannot find it.
	if err := mkdirs(root, "/proc/self"); err != nil {
		return err
	}
	if err := unix.Symlink(s.Path, root+"/proc/self/exe"); err != nil {
		return fmt.Errorf("link the executable: %w", err)
	}
	return seal(root, s.WorkDir)
}

// seal makes the root read-only and enters it.
func seal(root, workDir string) error {
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|rootFlags, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	if workDir == "" {
		workDir = PrivateDir
	}
	return enter(root, workDir)
}

// shmSize bounds /dev/shm, which is memory.
const shmSize = "size=64m,nr_inodes=1024,mode=1777"

// addSystem adds what Spec.System says.
func addSystem(root string) error {
	if err := mkdirs(root, "/proc"); err != nil {
		return err
	}
	// Of the process namespace that this process is the first of.
	if err := unix.Mount("proc", root+"/proc", "proc", rootFlags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("", root+"/proc", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|rootFlags, ""); err != nil {
		return fmt.Errorf("make /proc read-only: %w", err)
	}
	if err := mkdirs(root, "/dev/shm"); err != nil {
		return err
	}
	if err := unix.Mount("shm", root+"/dev/shm", "tmpfs", rootFlags, shmSize); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := unix.Symlink(to, root+"/dev/"+name); err != nil {
			return fmt.Errorf("link /dev/%s: %w", name, err)
		}
	}
	return nil
}

// enter makes root the root and takes everything else away (pivot_root(2), "pivot_root(".", ".")").
func enter(root, workDir string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	if err := unix.Chdir(workDir); err != nil {
		return fmt.Errorf("enter the working folder: %w", err)
	}
	return nil
}

func openSources(s *Spec) ([]source, error) {
	var out []source
	add := func(path, target string, writable, device bool) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("stat %s: %w", path, err)
		}
		out = append(out, source{
			fd: fd, target: target, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR, writable: writable, device: device,
		})
		return nil
	}
	if err := add(s.Dir, PrivateDir, false, false); err != nil {
		return nil, err
	}
	for _, b := range s.ReadOnly {
		if err := add(b.Source, b.Target, false, false); err != nil {
			return nil, err
		}
	}
	for _, path := range s.Writable {
		if err := add(path, path, true, false); err != nil {
			return nil, err
		}
	}
	for _, b := range s.Work {
		if err := add(b.Source, b.Target, true, false); err != nil {
			return nil, err
		}
	}
	all := devices()
	if s.System {
		all = append(all, "/dev/zero", "/dev/random", "/dev/full")
	}
	for _, path := range all {
		if err := add(path, path, true, true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mount puts the source into the root.
func (src *source) mount(root string) error {
	target := filepath.Clean("/" + src.target)
	at := root + target
	if src.folder {
		if err := mkdirs(root, target); err != nil {
			return err
		}
	} else {
		if err := mkdirs(root, filepath.Dir(target)); err != nil {
			return err
		}
		fd, err := unix.Open(at, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o444)
		if err != nil {
			return fmt.Errorf("make %s: %w", target, err)
		}
		_ = unix.Close(fd) // nothing was written
	}
	if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(src.fd), at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	flags, err := keptFlags(at)
	if err != nil {
		return fmt.Errorf("flags of %s: %w", target, err)
	}
	flags |= unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID
	if !src.writable {
		flags |= unix.MS_RDONLY
	}
	if !src.device {
		flags |= unix.MS_NODEV
	} else {
		flags |= unix.MS_NOEXEC
	}
	if err := unix.Mount("", at, "", flags, ""); err != nil {
		return fmt.Errorf("restrict %s: %w", target, err)
	}
	return nil
}

// keptFlags returns the flags that a remount in a user namespace must repeat:
// those of the outer mount are locked (mount_namespaces(7)).
func keptFlags(path string) (uintptr, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	// These have the same values as ST_ and as MS_ flags.
	const same = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	flags := uintptr(st.Flags) & same //nolint:gosec // bits
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	return flags, nil
}

// mkdirs makes a folder and its parents in root.
func mkdirs(root, path string) error {
	if path == "/" || path == "." {
		return nil
	}
	if err := mkdirs(root, filepath.Dir(path)); err != nil {
		return err
	}
	if err := unix.Mkdir(root+path, 0o755); err != nil && err != unix.EEXIST {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return nil
}
