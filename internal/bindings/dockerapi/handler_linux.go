package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	maxBody = 1 << 20 // bytes of a request with JSON
)

// Handler answers one process. Close it when that has ended.
type Handler struct {
	owner    *instances.Owner
	outbound Outbound
	log      *slog.Logger
	mux      *http.ServeMux
	ca       authority
	life     context.Context //nolint:containedctx // ends with the handler
	end      context.CancelFunc

	making sync.Mutex // of way

	mu       sync.Mutex
	closed   bool
	gateways map[string]*gateway // by name
	way      *gateway            // out of the runtime's own network; see passThrough
	execs    map[string]*execution
}

// New returns a handler for the instances of an owner.
func New(owner *instances.Owner, out Outbound, log *slog.Logger) *Handler {
	h := &Handler{owner: owner, outbound: out, log: log, mux: http.NewServeMux(), gateways: make(map[string]*gateway), execs: make(map[string]*execution)}
	h.life, h.end = context.WithCancel(context.Background())
	for pattern, do := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /networks/bridge":          h.network,
		"GET /volumes":                  h.volumes,
		"POST /containers/create":       h.create,
		"GET /containers/{name}/json":   h.inspect,
		"POST /containers/{name}/start": h.start,
		"POST /containers/{name}/stop":  h.stop,
		"POST /containers/{name}/kill":  h.kill,
		"POST /containers/{name}/wait":  h.wait,
		"DELETE /containers/{name}":     h.remove,

		"GET /containers/{name}/archive": h.readFiles,
		"PUT /containers/{name}/archive": h.writeFiles,
		"POST /containers/{name}/exec":   h.createExec,
		"POST /exec/{id}/start":          h.startExec,
		"GET /exec/{id}/json":            h.inspectExec,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := do(w, r); err != nil {
				h.fail(w, r, err)
			}
		})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, &apiError{http.StatusNotImplemented, fmt.Sprintf("%s %.100s is not offered here (snapshots and volumes are not)", r.Method, r.URL.Path)})
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Close ends what the handler has opened; the owner is the caller's.
func (h *Handler) Close() {
	h.mu.Lock()
	h.closed = true
	all := h.gateways
	h.gateways = nil
	if h.way != nil {
		all = maps.Clone(all)
		all[""] = h.way
	}
	h.mu.Unlock()
	h.end()
	for _, g := range all {
		g.close()
	}
}

// apiError is an answer of this API.
type apiError struct {
	status int
	text   string
}

func (e *apiError) Error() string { return e.text }

func noSuchContainer(name string) error {
	return &apiError{http.StatusNotFound, fmt.Sprintf("No such container: %.200s", name)}
}

// fail answers with an error in Docker's form.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "internal error of the platform; its log has the cause"
	api, isAPI := errors.AsType[*apiError](err)
	public, isPublic := errors.AsType[*instances.Error](err)
	switch {
	case isAPI:
		status, text = api.status, api.text
	case isPublic:
		status, text = statusOf(public.Code), public.Message
		if public.Err != nil && (public.Code == instances.CodeBadImage || public.Code == instances.CodeStart) {
			text = public.Error()
		}
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to read it
	default:
		h.log.ErrorContext(r.Context(), "a container could not be served", "path", r.URL.Path, "error", err)
	}
	writeJSON(w, status, map[string]string{"message": text})
}

func statusOf(c instances.Code) int {
	switch c {
	case instances.CodeNoImage, instances.CodeNotFound:
		return http.StatusNotFound
	case instances.CodeConflict, instances.CodeNotRunning:
		return http.StatusConflict
	case instances.CodeBadImage, instances.CodeStart, instances.CodeRefused, instances.CodeNoApplication:
		return http.StatusBadRequest
	case instances.CodeFull, instances.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"message":"internal error of the platform"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not read it is gone
}

// network names the loopback address of the process's own network: the runtime
// listens there, and its gateway calls it there.
func (h *Handler) network(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{
		"Name": "bridge", "Id": "bridge", "Driver": "bridge",
		"IPAM": map[string]any{"Driver": "default", "Config": []map[string]string{{"Subnet": "127.0.0.0/8", "Gateway": "127.0.0.1"}}},
	})
	return nil
}

func (h *Handler) volumes(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{"Volumes": []any{}, "Warnings": []string{}})
	return nil
}

// createRequest has what the runtime sends, and what is looked for to be refused.
type createRequest struct {
	Image      string
	Cmd        []string
	Entrypoint []string
	Env        []string
	HostConfig struct {
		NetworkMode string
		Privileged  bool
		Binds       []string
		Mounts      []json.RawMessage
		Devices     []json.RawMessage
		CapAdd      []string
		SecurityOpt []string
		VolumesFrom []string
		IpcMode     string
		UTSMode     string
		UsernsMode  string
		CgroupnsMode,
		Runtime string
		Sysctls map[string]string
	}
}

// refused returns the first thing asked for that is never given.
func (q *createRequest) refused() string {
	c := &q.HostConfig
	for _, r := range []struct {
		what  string
		asked bool
	}{
		{"privileged containers", c.Privileged},
		{"binds of folders of the machine", len(c.Binds) > 0 || len(c.VolumesFrom) > 0},
		{"mounts and volumes", len(c.Mounts) > 0},
		{"devices", len(c.Devices) > 0},
		{"more capabilities", len(c.CapAdd) > 0},
		{"security options", len(c.SecurityOpt) > 0},
		{"namespaces of the machine", slices.Contains([]string{c.IpcMode, c.UTSMode, c.UsernsMode, c.CgroupnsMode, c.NetworkMode}, "host")},
		{"another runtime", c.Runtime != ""},
		{"settings of the kernel", len(c.Sysctls) > 0},
	} {
		if r.asked {
			return r.what
		}
	}
	return ""
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	var q createRequest
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		return &apiError{http.StatusNotImplemented, "containers without a name are not offered here (snapshots are not)"}
	}
	if q.Image == workerd.GatewayImage {
		return h.createGateway(w, r, name)
	}
	if what := q.refused(); what != "" {
		return instances.Fail(instances.CodeRefused, "%s are not given to containers here", what)
	}
	proxy := h.gateway(strings.TrimPrefix(q.HostConfig.NetworkMode, "container:"))
	if proxy == nil {
		return instances.Fail(instances.CodeRefused, "a container is connected by the gateway of its own, not by %.100q", q.HostConfig.NetworkMode)
	}
	in, err := h.owner.Create(r.Context(), instances.Request{Name: name, Class: className(q.Image), Image: imageName(q.Image), Args: slices.Concat(q.Entrypoint, q.Cmd), Env: q.Env})
	if err != nil {
		return err
	}
	proxy.serve(in)
	writeJSON(w, http.StatusCreated, map[string]any{"Id": in.ID(), "Warnings": []string{}})
	return nil
}

// className and imageName take apart "selvage.class/<class>" and
// "selvage.class/<class>:<image>".
func className(image string) string {
	class, _, _ := strings.Cut(strings.TrimPrefix(image, workerd.ClassImage), ":")
	return class
}

func imageName(image string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(image, workerd.ClassImage), ":")
	return name
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		return &apiError{http.StatusBadRequest, "the request is not JSON of the form that is known: " + err.Error()}
	}
	return nil
}

func (h *Handler) find(r *http.Request) (*instances.Instance, error) {
	name := r.PathValue("name")
	if in := h.owner.Find(name); in != nil {
		return in, nil
	}
	return nil, noSuchContainer(name)
}

func (h *Handler) inspect(w http.ResponseWriter, r *http.Request) error {
	if g := h.gateway(r.PathValue("name")); g != nil {
		writeJSON(w, http.StatusOK, g.describe())
		return nil
	}
	in, err := h.find(r)
	if err != nil {
		return err
	}
	s := in.State()
	status := "created"
	switch {
	case s.Running:
		status = "running"
	case s.Ended:
		status = "exited"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"Id": in.ID(), "Name": "/" + in.Name(),
		"State":           map[string]any{"Status": status, "Running": s.Running, "OOMKilled": s.OutOfMemory, "ExitCode": s.ExitCode, "Error": s.Reason},
		"Config":          map[string]any{"Image": in.Image().Repository + "@" + in.Image().Digest},
		"NetworkSettings": map[string]any{"Ports": map[string]any{}},
	})
	return nil
}

func (h *Handler) start(w http.ResponseWriter, r *http.Request) error {
	if g := h.gateway(r.PathValue("name")); g != nil {
		if err := g.start(r.Context()); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	in, err := h.find(r)
	if err != nil {
		return err
	}
	g := h.gatewayOf(in)
	if g == nil {
		return instances.Fail(instances.CodeRefused, "the container's gateway is gone")
	}
	// Who asks may go away; the container is in its name all the same.
	if err := in.Start(context.WithoutCancel(r.Context()), g); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) stop(w http.ResponseWriter, r *http.Request) error {
	in, err := h.find(r)
	if err != nil {
		return err
	}
	if !in.State().Running {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := in.Stop(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) kill(w http.ResponseWriter, r *http.Request) error {
	in, err := h.find(r)
	if err != nil {
		return err
	}
	name := r.URL.Query().Get("signal")
	if name == "" {
		name = "SIGKILL"
	}
	sig, ok := instances.ParseSignal(name)
	if !ok {
		return &apiError{http.StatusBadRequest, fmt.Sprintf("%.40q is no signal", name)}
	}
	if err := in.Signal(sig); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) wait(w http.ResponseWriter, r *http.Request) error {
	in, err := h.find(r)
	if err != nil {
		return err
	}
	until := in.Done()
	if r.URL.Query().Get("condition") == "removed" {
		until = in.Removed()
	}
	select {
	case <-until:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	s := in.State()
	body := map[string]any{"StatusCode": s.ExitCode}
	if s.Reason != "" {
		body["Error"] = map[string]string{"Message": s.Reason}
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if h.removeGateway(name) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	in, err := h.find(r)
	if err != nil {
		return err
	}
	if err := in.Remove(context.WithoutCancel(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
