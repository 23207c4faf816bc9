package keeper

import "encoding/json"

// maxMessage bounds one message, in bytes.
const maxMessage = 160 << 10

// Operations of a request.
const (
	opCreate = "create"
	opStart  = "start"
	opSignal = "signal"
	opExec   = "exec"
	opRemove = "remove"
)

// request is what the platform asks, one message each.
type request struct {
	Seq uint64 `json:"seq"`
	Op  string `json:"op"`
	ID  string `json:"id"`

	Create *Create `json:"create,omitempty"` // with descriptors: standard output, standard error
	Exec   *Exec   `json:"exec,omitempty"`   // with descriptors: standard input, output and error
	Signal int     `json:"signal,omitempty"`
}

// Create says what container to make.
type Create struct {
	// Config is the bundle's config.json; its root is "rootfs".
	Config json.RawMessage `json:"config"`
	// Files are written beside it.
	Files map[string]string `json:"files,omitempty"`
	// Lower are the folders of the image, the lowest first; Upper and Work those of
	// overlayfs for what the container writes, which exist.
	Lower []string `json:"lower"`
	Upper string   `json:"upper"`
	Work  string   `json:"work"`
	// User is as in an image's configuration. Shift is the id of root outside.
	User  string `json:"user,omitempty"`
	Shift int    `json:"shift"`
	// Counter is the file in which the kernel counts what it ended for want of memory,
	// as lines "oom_kill N".
	Counter string `json:"counter"`
}

// Exec says what to run in a container.
type Exec struct {
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	User string   `json:"user,omitempty"`
}

// reply answers the request with the same Seq. A process of opExec is answered
// twice: with Running when it has started, and when it has ended. A message with Seq 0
// says that the container ID has ended.
type reply struct {
	Seq uint64 `json:"seq"`
	ID  string `json:"id,omitempty"`
	Pid int    `json:"pid,omitempty"`
	// Running says that the process has started, and that another answer follows.
	Running bool `json:"running,omitempty"`
	Code    int  `json:"code,omitempty"`
	OOM     bool `json:"oom,omitempty"`
	// Error is for the platform's log; Start says that the user's part is at fault.
	Error string `json:"error,omitempty"`
	Start bool   `json:"start,omitempty"`
}
