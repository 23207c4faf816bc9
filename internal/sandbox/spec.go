package sandbox

import (
	"encoding/json"
	"fmt"
)

const (
	// Name is what the helper is called in its argument 0.
	Name = "selvage-sandbox"
	// ExitFailed is the helper's exit code when it could not confine itself.
	ExitFailed = 125
	// PrivateDir is where the private folder is in the root of a Spec with
	// Namespaces. It is the working directory.
	PrivateDir = "/w"
)

// Spec says what to become and what it may see.
type Spec struct {
	// Path, Args (from argument 0) and Env are the program's. With Namespaces,
	// Path is one in the new root.
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env"`
	// Dir is the private folder, an absolute path outside. The program can read it
	// and connect to sockets in it, and cannot change what is in it.
	Dir string `json:"dir"`
	// ReadOnly are the files and folders that exist besides.
	ReadOnly []Bind `json:"read_only"`
	// Writable are folders that the program may write, at the same path inside as
	// outside.
	Writable []string `json:"writable,omitempty"`
	// Work are folders in which the program may do what it likes: write, make links,
	// run what is there.
	Work []Bind `json:"work,omitempty"`
	// WorkDir is the working directory in the new root; empty: PrivateDir.
	WorkDir string `json:"work_dir,omitempty"`
	// System adds what a shell and compilers take for granted: /proc, more devices,
	// /dev/shm.
	System bool `json:"system,omitempty"`
	// Loopback brings up the loopback device of the program's own network and
	// allows sockets on it. There is no other device, so it leads nowhere; but when
	// it is more than 1, a socket that listens on that port is sent to whoever has
	// the other end of descriptor 3 (see Listen), which is then a way out that
	// somebody else decides about.
	Loopback int `json:"loopback,omitempty"`
	// User is the user and group to become; 0: none.
	User int `json:"user,omitempty"`
	// Limits are of each process.
	Limits Limits `json:"limits,omitzero"`
	// Files is the number of descriptors that are handed on, from 3.
	Files int `json:"files"`

	// Namespaces says that the process was started in new namespaces, so that
	// a root of its own can be made.
	Namespaces bool `json:"namespaces"`
	Seccomp    bool `json:"seccomp"`
	Landlock   bool `json:"landlock"`

	// Probe makes the helper report, as JSON on standard output, what holds, rather
	// than run a program.
	Probe bool `json:"probe,omitempty"`
}

// Limits bound what processes may take; 0 is no bound. See setrlimit(2).
type Limits struct {
	Processes int64 `json:"processes,omitempty"` // of the user, threads included
	Memory    int64 `json:"memory,omitempty"`    // bytes of data of one process
	File      int64 `json:"file,omitempty"`      // bytes of one file
	CPU       int64 `json:"cpu,omitempty"`       // seconds of one process
	Nice      int   `json:"nice,omitempty"`      // 0 to 19
}

// Bind is a file or folder outside and where it is in the new root. Without
// Namespaces it is at Source.
type Bind struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Report is what a probe found, each by trying.
type Report struct {
	// Root is nil when the process sees nothing but its own root.
	Root *Failure `json:"root,omitempty"`
	// Network is nil when there is no way to an address, loopback included.
	Network *Failure `json:"network,omitempty"`
	// Privileges is nil when no capability is left and none can be gained.
	Privileges *Failure `json:"privileges,omitempty"`
	Seccomp    *Failure `json:"seccomp,omitempty"`
	// LandlockABI is the version of the kernel's Landlock; 0 without.
	LandlockABI int      `json:"landlock_abi"`
	Landlock    *Failure `json:"landlock,omitempty"`
	// PID is the process's id in its own eyes: 1 in a namespace.
	PID int `json:"pid"`
}

// Failure is why something does not hold.
type Failure struct {
	Step  string `json:"step"`
	Error string `json:"error"`
}

func failure(step string, err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Step: step, Error: err.Error()}
}

// Encode returns the helper's argument.
func (s *Spec) Encode() (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("sandbox: encode: %w", err)
	}
	return string(b), nil
}

// IsHelper reports whether these arguments are those of a helper; the program
// then does nothing but call [Main].
func IsHelper(args []string) bool { return len(args) == 2 && args[0] == Name }
