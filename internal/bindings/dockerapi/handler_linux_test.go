package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/instances"
)

type noOutbound struct{}

func (noOutbound) Dial(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, errors.New("no")
}

func (noOutbound) Lookup(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no") }

func newHandler(t *testing.T) *Handler {
	t.Helper()
	s, err := instances.New(instances.Options{Unavailable: "this is a test"})
	if err != nil {
		t.Fatal(err)
	}
	h := New(s.NewOwner("account", "script", []string{"Box"}), noOutbound{}, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

func call(h http.Handler, method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var out struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return w.Code, out.Message
}

// TestRefused holds that nothing is given that would widen what a container may do,
// and that what is not offered is said to be so.
func TestRefused(t *testing.T) {
	h := newHandler(t)
	for config, says := range map[string]string{
		`{"Privileged":true}`:                 "privileged",
		`{"Binds":["/:/host"]}`:               "binds",
		`{"VolumesFrom":["other"]}`:           "binds",
		`{"Mounts":[{"Type":"bind"}]}`:        "mounts",
		`{"Devices":[{"PathOnHost":"/dev"}]}`: "devices",
		`{"CapAdd":["SYS_ADMIN"]}`:            "capabilities",
		`{"SecurityOpt":["seccomp=none"]}`:    "security options",
		`{"NetworkMode":"host"}`:              "namespaces of the machine",
		`{"IpcMode":"host"}`:                  "namespaces of the machine",
		`{"UsernsMode":"host"}`:               "namespaces of the machine",
		`{"CgroupnsMode":"host"}`:             "namespaces of the machine",
		`{"UTSMode":"host"}`:                  "namespaces of the machine",
		`{"Runtime":"other"}`:                 "another runtime",
		`{"Sysctls":{"a":"b"}}`:               "settings of the kernel",
		`{"NetworkMode":"bridge"}`:            "gateway of its own",
		`{"PidMode":"host"}`:                  "gateway of its own", // taken, and not heeded
	} {
		status, message := call(h, "POST", "/containers/create?name=a", `{"Image":"selvage.class/Box","HostConfig":`+config+`}`)
		if status != http.StatusBadRequest || !strings.Contains(message, says) {
			t.Errorf("%s: %d %q", config, status, message)
		}
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/containers/create?name=a", `not json`, 400, "JSON"},
		{"POST", "/containers/create?name=a", `{"Image":"` + strings.Repeat("x", 2<<20) + `"}`, 400, ""},
		{"POST", "/containers/create", `{"Image":"x"}`, 501, "snapshots"},
		{"POST", "/commit?container=a", ``, 501, "not offered"},
		{"POST", "/volumes/create", `{}`, 501, "not offered"},
		{"GET", "/images/json", ``, 501, "not offered"},
		{"GET", "/info", ``, 501, "not offered"},
		{"GET", "/containers/json", ``, 501, "not offered"},
		{"GET", "/containers/other/json", ``, 404, "No such container"},
		{"POST", "/containers/other/start", ``, 404, "No such container"},
		{"POST", "/containers/other/exec", `{"Cmd":["x"]}`, 404, "No such container"},
		{"PUT", "/containers/other/archive?path=/", ``, 404, "No such container"},
		{"DELETE", "/containers/other", ``, 404, "No such container"},
		{"POST", "/exec/other/start", `{}`, 404, "No such exec"},
		// Who asks is unknown here: it is no process with a network of its own.
		{"POST", "/containers/create?name=a-proxy", `{"Image":"selvage.gateway"}`, 503, "which process"},
	} {
		status, message := call(h, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(message, c.says) {
			t.Errorf("%s %s: %d %q", c.method, c.path, status, message)
		}
	}
	if status, _ := call(h, "GET", "/networks/bridge", ""); status != http.StatusOK {
		t.Errorf("the network: %d", status)
	}
}

// TestGatewayInOwnNetwork holds that the gateway is not opened for a process that is
// in the platform's own network, where everybody could connect to it.
func TestGatewayInOwnNetwork(t *testing.T) {
	h := newHandler(t)
	srv := httptest.NewUnstartedServer(h)
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener = ln
	srv.Config.ConnContext = ConnContext
	srv.Start()
	defer srv.Close()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", ln.Addr().String())
	}}}
	res, err := client.Post("http://docker/containers/create?name=a-proxy", "application/json", strings.NewReader(`{"Image":"selvage.gateway"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Message string `json:"message"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(out.Message, "not isolated") {
		t.Errorf("%d %q, %v", res.StatusCode, out.Message, err)
	}
}

// TestNames holds what a container's name server answers.
func TestNames(t *testing.T) {
	g := &gateway{h: newHandler(t)}
	for _, bad := range []string{"", "x", strings.Repeat("\xff", 100), "\x00\x01\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00"} {
		if answer := g.answer(t.Context(), []byte(bad)); answer != nil {
			t.Errorf("%q is answered", bad)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01b\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, question []byte) {
		g := &gateway{h: newHandler(t)}
		g.egress.Internet.Enabled = true
		if answer := g.answer(t.Context(), question); answer != nil && (len(answer) < 12 || answer[2]&0x80 == 0) {
			t.Errorf("%x is no answer", answer)
		}
	})
}
