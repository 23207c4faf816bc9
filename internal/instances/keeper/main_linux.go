package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// The descriptor of the keeper's end of the socket.
	controlFD = 3

	envDir  = "SELVAGE_KEEPER_DIR"
	envRunc = "SELVAGE_KEEPER_RUNC"

	// Below the keeper's folder: bundles of containers, and what runc notes of them.
	bundles = "bundles"
	state   = "state"

	exitFailed = 125
)

// Main is the keeper. It returns when the platform has closed its socket.
func Main() int {
	m := &keeper{dir: os.Getenv(envDir), runc: os.Getenv(envRunc), all: make(map[string]*container)}
	err := m.prepare()
	if err == nil {
		err = m.serve()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		return exitFailed
	}
	return 0
}

// keeper is the state of the process.
type keeper struct {
	dir  string
	runc string
	conn *net.UnixConn

	writing sync.Mutex
	numbers atomic.Uint64

	mu  sync.Mutex
	all map[string]*container
}

// prepare makes the mounts that only this process and what it starts see.
func (m *keeper) prepare() error {
	if os.Getpid() != 1 || !filepath.IsAbs(m.dir) {
		return errors.New("this is started by the platform only")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("selvage", m.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=256m,mode=0711"); err != nil {
		return fmt.Errorf("mount the keeper's folder: %w", err)
	}
	for _, name := range []string{bundles, state} {
		if err := os.Mkdir(filepath.Join(m.dir, name), 0o711); err != nil { //nolint:gosec // the container's root, another user here, passes through
			return err
		}
	}
	unix.CloseOnExec(controlFD)
	var err error
	m.conn, err = asConn(os.NewFile(controlFD, "control"))
	return err
}

// serve answers until the platform is gone. Each request is handled by itself:
// those of one container wait for one another.
func (m *keeper) serve() error {
	ctx := context.Background()
	buf := make([]byte, maxMessage)
	for {
		n, files, err := readMessage(m.conn, buf)
		if n == 0 || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		q := new(request)
		if err := json.Unmarshal(buf[:n], q); err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		go func() {
			r := m.handle(ctx, q, files)
			closeAll(files)
			r.Seq = q.Seq
			m.say(r)
		}()
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// say sends a message to the platform; without a platform there is nothing to be done.
func (m *keeper) say(r reply) {
	body, err := json.Marshal(r)
	if err != nil {
		body = []byte(`{}`)
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	_ = writeMessage(m.conn, body, nil)
}

func (m *keeper) handle(ctx context.Context, q *request, files []*os.File) reply {
	if q.Op == opCreate {
		return m.create(ctx, q, files)
	}
	m.mu.Lock()
	c := m.all[q.ID]
	m.mu.Unlock()
	if c == nil {
		return reply{Error: "there is no container " + q.ID}
	}
	switch q.Op {
	case opStart:
		return answer(c.start())
	case opSignal:
		return answer(c.signal(unix.Signal(q.Signal)))
	case opExec:
		return c.exec(ctx, q, files)
	case opRemove:
		err := c.remove(ctx)
		if err == nil {
			m.mu.Lock()
			delete(m.all, q.ID)
			m.mu.Unlock()
		}
		return answer(err)
	}
	return reply{Error: "there is no operation " + q.Op}
}

// answer puts an error into a reply.
func answer(err error) reply {
	if err == nil {
		return reply{}
	}
	r := reply{Error: err.Error()}
	_, r.Start = errors.AsType[*StartError](err)
	return r
}

func (m *keeper) create(ctx context.Context, q *request, files []*os.File) reply {
	if q.Create == nil || len(files) != 2 || q.ID == "" || filepath.Base(q.ID) != q.ID {
		return reply{Error: "the request is not complete"}
	}
	c := &container{m: m, id: q.ID, o: q.Create, bundle: filepath.Join(m.dir, bundles, q.ID), ended: make(chan struct{})}
	m.mu.Lock()
	taken := m.all[q.ID] != nil
	if !taken {
		m.all[q.ID] = c
	}
	m.mu.Unlock()
	if taken {
		return reply{Error: "the container " + q.ID + " is there already"}
	}
	if err := c.create(ctx, files[0], files[1]); err != nil {
		err = errors.Join(err, c.remove(ctx))
		m.mu.Lock()
		delete(m.all, q.ID)
		m.mu.Unlock()
		return answer(err)
	}
	return reply{Pid: c.pid}
}

// number is another one at each call.
func (m *keeper) number() uint64 { return m.numbers.Add(1) }
