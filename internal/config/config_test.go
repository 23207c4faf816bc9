package config_test

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/selvage-dev/selvage/internal/config"
)

var update = flag.Bool("update", false, "write golden files")

func getenv(vars map[string]string) func(string) string {
	return func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return map[string]string{"XDG_DATA_HOME": "/home/ann/data"}[name]
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "selvage.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLaterSourcesOverride(t *testing.T) {
	name := file(t, "port = 1\ndomain = 'file.example'\n\n[limits]\nbody_size = \"2GiB\"\nconnections = 5\n\n[api]\nport = 2\n")
	e, err := config.Load(config.Sources{
		File:   name,
		Getenv: getenv(map[string]string{"SELVAGE_PORT": "3", "SELVAGE_LIMITS_CONNECTIONS": "6", "SELVAGE_API_PORT": ""}),
		Flags:  map[string]string{"port": "4", "trusted-proxies": "10.0.0.1/8, ::1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Port != 4 || e.API.Port != 2 || e.Domain != "file.example" || e.Limits.BodySize != 2<<30 || e.Limits.Connections != 6 {
		t.Errorf("effective: %+v", e.Config)
	}
	wantProxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if diff := cmp.Diff(wantProxies, e.TrustedProxies, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	for key, want := range map[string]string{
		"port": "--port", "limits.connections": "SELVAGE_LIMITS_CONNECTIONS", "domain": name + ":2", "limits.body_size": name + ":5", "idle_stop": "default",
	} {
		if got := e.Origins[key]; got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
}

func TestFileErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown", "port = 1\nprot = 2", `F:2: there is no option "prot"; did you mean "port"?`},
		{"unknown in a table", "[limits]\n\nbody_siz = 1", `F:3: there is no option "limits.body_siz"; did you mean "limits.body_size"?`},
		{"unknown table", "[limit]\nbody_size = 1", `F:1: there is no option "limit"; did you mean`},
		{"wrong table", "loglevel = 'info'", `did you mean "log.level"?`},
		{"inline table", "api = { port = 1, host = 5 }", "F:1: api.host = 5 is not valid; want an IP address"},
		{"dotted", "api.port = 70000", `F:1: api.port = "70000" is not valid; want a port from 0 to 65535`},
		{"type", "port = '80'", "F:1: port = 80 is not valid; want a port from 0 to 65535, written as in port = 8787"},
		{"float", "port = 8.5", "F:1: port = 8.5 is not valid"},
		{"table for a value", "[port]\nx = 1", "port = map[x:1] is not valid"},
		{"value for a table", "api = 3", `F:1: there is no option "api"`},
		{"list", "trusted_proxies = '10.0.0.0/8'", `written as in trusted_proxies = []`},
		{"list item", "trusted_proxies = ['10.0.0.0/99']", `want networks such as "10.0.0.0/8"`},
		{"syntax", "port = 1\nport 2", "F:2:"},
		{"twice", "port = 1\nport = 2", "F:2:"},
		{"several", "a = 1\nport = -1\n", `F:1: there is no option "a"`},
		{"control character", `workerd = "a\u0007"`, "F:1: workerd ="},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := file(t, c.text)
			_, err := config.Load(config.Sources{File: name, Getenv: getenv(nil)})
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), name, "F"); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Errorf("%T is not a *config.Error", err)
			}
		})
	}
}

func TestValues(t *testing.T) {
	for key, values := range map[string]struct{ good, bad string }{
		"host":                  {"127.0.0.1 ::1 0.0.0.0 localhost", "example.com 1.2.3"},
		"port":                  {"0 65535", "-1 65536 x 1.5"},
		"domain":                {"selvage.localhost a-b.example localhost", "A.example a..b -a.b a_b .a a/b"},
		"subdomain":             {"me a-1", "a.b A -a"},
		"insecure-http":         {"true false 1 0", "yes 2"},
		"idle-stop":             {"100ms 10m 1h30m", "50ms 10 -1m 1d"},
		"max-processes":         {"1 100000", "0 -1"},
		"drain-timeout":         {"0s 1h", "2h -1s"},
		"trusted-proxies":       {"10.0.0.0/8 1.2.3.4,::1", "10.0.0.0/33 a 10.0.0.0/8,,"},
		"egress-allow":          {"10.0.0.0/8 10.0.0.0/8:80 1.2.3.4:80-90 ::1 [fd00::/8]:443", "10.0.0.0/8:0 1.2.3.4:90-80 1.2.3.4:x [::1] [::1]443 1.2.3.4:70000"},
		"api-host":              {"127.0.0.1", "x"},
		"log-level":             {"debug error", "INFO trace"},
		"log-format":            {"auto json text", "xml"},
		"log-max-size":          {"1MiB 2GiB 1048576", "1KiB 5MB -1 9999999999GiB 1.5GiB"},
		"log-max-age":           {"1h 168h", "1m 7d"},
		"limits-header-size":    {"4KiB 1MiB", "1KiB 2MiB"},
		"limits-body-size":      {"0 100MiB 1TiB", "-1 x"},
		"limits-connections":    {"1", "0"},
		"limits-header-timeout": {"100ms 24h", "0s 25h"},
		"limits-asset-count":    {"1 1000000", "0 1000001"},
		"limits-script-size":    {"1KiB", "1"},
	} {
		load := func(value string) error {
			_, err := config.Load(config.Sources{Getenv: getenv(nil), Flags: map[string]string{key: value}})
			return err
		}
		for value := range strings.FieldsSeq(values.good) {
			if err := load(value); err != nil {
				t.Errorf("--%s %s: %v", key, value, err)
			}
		}
		for value := range strings.FieldsSeq(values.bad) {
			err := load(value)
			if err == nil {
				t.Errorf("--%s %s is taken", key, value)
			} else if !strings.HasPrefix(err.Error(), "--"+key+": ") || !strings.Contains(err.Error(), value) || !strings.Contains(err.Error(), "want ") {
				t.Errorf("error does not name flag, value and what is valid: %v", err)
			}
		}
	}
}

func TestTogether(t *testing.T) {
	for name, c := range map[string]struct {
		flags map[string]string
		want  string
	}{
		"one half of TLS": {map[string]string{"api-tls-cert": "x.pem"}, "belong together"},
		"the same port":   {map[string]string{"port": "8788"}, "both 8788"},
	} {
		if _, err := config.Load(config.Sources{Getenv: getenv(nil), Flags: c.flags}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.Load(config.Sources{Getenv: getenv(nil), Flags: map[string]string{"port": "0", "api-port": "0"}}); err != nil {
		t.Errorf("any free port twice: %v", err)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load(config.Sources{File: "/nosuch/selvage.toml", Getenv: getenv(nil)})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nosuch/selvage.toml") {
		t.Error(err)
	}
}

// TestExample holds that the example file is golden, and that it means the
// defaults once its comment signs are gone.
func TestExample(t *testing.T) {
	env := getenv(nil)
	if os.Geteuid() == 0 {
		t.Log("as root the data directory is /var/lib/selvage; the golden file has the user's")
	}
	got := strings.Replace(config.Example(env), "/var/lib/selvage", "/home/ann/data/selvage", 1)
	golden := filepath.Join("testdata", "example.toml")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run go test -update: %s", diff)
	}
	var active strings.Builder
	for line := range strings.Lines(config.Example(env)) {
		if assignment, ok := strings.CutPrefix(line, "# "); ok && strings.Contains(assignment, " = ") {
			line = assignment
		}
		active.WriteString(line)
	}
	e, err := config.Load(config.Sources{File: file(t, active.String()), Getenv: env})
	if err != nil {
		t.Fatalf("%v\n%s", err, active.String())
	}
	if changed := config.Changed(config.Default(env), &e.Config); len(changed) != 0 {
		t.Errorf("the example changes %v", changed[0].Key)
	}
	for key, origin := range e.Origins {
		if origin == "default" {
			t.Errorf("the example has no %s", key)
		}
	}
}

func TestChanged(t *testing.T) {
	was, now := config.Default(getenv(nil)), config.Default(getenv(nil))
	now.Port, now.IdleStop = 9, time.Hour
	var got []string
	for _, o := range config.Changed(was, now) {
		if o.Reload {
			got = append(got, o.Key+" now")
		} else {
			got = append(got, o.Key+" at restart")
		}
	}
	if diff := cmp.Diff([]string{"port at restart", "idle_stop now"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownEnv(t *testing.T) {
	got := config.UnknownEnv([]string{"SELVAGE_PROT=1", "SELVAGE_PORT=1", "PATH=x", "SELVAGE_CONFIG=y"}, "SELVAGE_CONFIG")
	if diff := cmp.Diff([]string{"SELVAGE_PROT"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzFile: no file makes Load panic, and every error has a place.
func FuzzFile(f *testing.F) {
	f.Add([]byte("port = 1\n[api]\nport = 2\n[[x]]\na.b = {c = [1, {d = 2}]}"))
	f.Add([]byte("\"a.b\" = 1\n'' = 2\n[limits]\nbody_size = '1GiB'"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(config.Sources{File: name, Getenv: getenv(nil)})
		if err != nil && !strings.Contains(err.Error(), name+":") && !strings.Contains(err.Error(), "belong together") && !strings.Contains(err.Error(), "are both") {
			t.Errorf("error without a place: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), name+":0:") {
			t.Errorf("line 0: %v", err)
		}
	})
}

func TestAIValues(t *testing.T) {
	t.Parallel()
	load := func(key, value string) (*config.Effective, error) {
		return config.Load(config.Sources{Getenv: getenv(map[string]string{key: value})})
	}
	c, err := load("SELVAGE_AI_UPSTREAMS", "a=http://127.0.0.1:8000/v1,b=https://x.example/v1")
	if err != nil || len(c.AI.Upstreams) != 2 || c.AI.Upstreams[1].String() != "b=https://x.example/v1" {
		t.Errorf("%+v %v", c, err)
	}
	c, err = load("SELVAGE_AI_ROUTES", "@cf/a/b=a:theirs:7b,@cf/*=b")
	if err != nil || c.AI.Routes[0] != (config.AIRoute{Model: "@cf/a/b", Upstream: "a", Theirs: "theirs:7b"}) || c.AI.Routes[1].String() != "@cf/*=b" {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range [][2]string{
		{"SELVAGE_AI_UPSTREAMS", "a"},
		{"SELVAGE_AI_UPSTREAMS", "a=ftp://x"},
		{"SELVAGE_AI_UPSTREAMS", "a=http://user:pass@x"},
		{"SELVAGE_AI_UPSTREAMS", "A B=http://x"},
		{"SELVAGE_AI_ROUTES", "m"},
		{"SELVAGE_AI_ROUTES", "*a=b"},
		{"SELVAGE_AI_ROUTES", "m=b:"},
		{"SELVAGE_AI_ROUTES", "=b"},
		{"SELVAGE_AI_QUEUE", "0"},
	} {
		if _, err := load(bad[0], bad[1]); err == nil {
			t.Errorf("%s=%s is taken", bad[0], bad[1])
		}
	}
}
