package workerd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
	"github.com/google/go-cmp/cmp"
)

// everything is a worker that uses every feature of the config.
func everything() *Worker {
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	return &Worker{
		Script: "everything", Egress: true, Cache: true, Assets: "ASSETS",
		CompatibilityDate: "2026-09-01", CompatibilityFlags: []string{"nodejs_compat", "global_navigator"},
		Modules: []Module{
			{Name: "index.js", Kind: ESModule, Body: []byte("export default {}")},
			{Name: "c.cjs", Kind: CommonJSModule, Body: []byte("module.exports = 1")},
			{Name: "t.txt", Kind: TextModule, Body: []byte("text")},
			{Name: "d.bin", Kind: DataModule, Body: []byte{0, 1}},
			{Name: "w.wasm", Kind: WasmModule, Body: wasm},
			{Name: "j.json", Kind: JSONModule, Body: []byte("{}")},
		},
		Sockets: []Socket{{File: "rpc.sock"}, {File: "e.sock", Entrypoint: "E", Props: `{"b":2}`}},
		Bindings: []Binding{
			{Name: "T", Kind: TextBinding, Text: "t"},
			{Name: "J", Kind: JSONBinding, Text: "[]"},
			{Name: "D", Kind: DataBinding, Data: []byte{1}},
			{Name: "F", Kind: FetcherBinding, Socket: "f.sock"},
			{Name: "S", Kind: FetcherBinding, Socket: "s.sock", RPC: true},
			{Name: "SELF", Kind: SelfBinding, Entrypoint: "E", Props: `{"a":1}`},
			{Name: "W", Kind: WrappedBinding, Wrapped: &Wrapped{
				Module: "cloudflare-internal:d1-api", Entrypoint: "default",
				Inner: []Binding{{Name: "fetcher", Kind: FetcherBinding, Socket: "d1.sock", TagRay: true}},
			}},
			{Name: "O", Kind: ObjectBinding, Class: "Thing"},
		},
		Objects: []ObjectClass{{Class: "Thing", Key: "k", SQL: true}, {Class: "an other", Key: "l"}},
		Storage: "/tmp",
	}
}

func encode(tb testing.TB, w *Worker) []byte {
	tb.Helper()
	p, _, err := newPlan(w, []string{"--stack-size=800"}, secrets{nonce: "n", trace: "selvage:t"}, entryDefault)
	if err != nil {
		tb.Fatal(err)
	}
	header, segment, err := encodeConfig(p)
	if err != nil {
		tb.Fatal(err)
	}
	if cap(segment) > p.estimate()+wordBytes {
		tb.Errorf("the segment grew from %d to %d bytes", p.estimate(), cap(segment))
	}
	return slices.Concat(header, segment)
}

// TestConfigBySchema lets the Cap'n Proto tool read a config by workerd's own
// schema, which knows nothing of schema.go.
func TestConfigBySchema(t *testing.T) {
	tool, err := exec.LookPath("capnp")
	if err != nil {
		t.Skip("no capnp tool on this machine; the runtime itself still reads such a config in TestConfigByRuntime")
	}
	schema, err := os.ReadFile(filepath.Join("..", "..", "..", "tools", "node_modules", "workerd", "workerd.capnp"))
	if err != nil {
		t.Fatal(err)
	}
	// Released tools cannot parse this default value, a short form of the same.
	schema = bytes.ReplaceAll(schema, []byte(`:ServiceDesignator = "internet"`), []byte(`:ServiceDesignator = (name = "internet")`))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"workerd.capnp":   string(schema),
		"capnp/c++.capnp": "@0xbdf87d7bb8304e81;\nannotation namespace(file): Text;\nannotation allowCancellation(file): Void;\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), tool, "decode", "-I"+dir, filepath.Join(dir, "workerd.capnp"), "Config")
	cmd.Stdin = bytes.NewReader(encode(t, everything()))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	// The sources of our own modules are not the matter here.
	var got []string
	for line := range strings.Lines(string(out)) {
		if i := strings.Index(line, `esModule = "`); i >= 0 && len(line) > 200 {
			line = line[:i] + "esModule = …\n"
		}
		got = append(got, line)
	}
	golden := filepath.Join("testdata", "everything.txt")
	want, err := os.ReadFile(golden)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), strings.Join(got, "")); d != "" {
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(strings.Join(got, "")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Errorf("config differs from %s (-want +got):\n%s", golden, d)
	}
}

// decoded is what the parts of a config that outsiders name look like.
type decoded struct {
	Services []string
	Modules  []Module
	Bindings []Binding
	Flags    []string
	Date     string
	Script   string
	Outbound string

	CacheOutbound string
}

// decode reads a config back with the library.
func decode(tb testing.TB, msg []byte) decoded {
	tb.Helper()
	m, err := capnp.Unmarshal(msg)
	if err != nil {
		tb.Fatal(err)
	}
	m.ResetReadLimit(1 << 40)
	d := reader{tb}
	rootPtr, err := m.Root()
	d.check(err)
	services := d.list(rootPtr.Struct(), configServices)
	var out decoded
	for i := range services.Len() {
		out.Services = append(out.Services, d.text(services.Struct(i), serviceName))
	}
	w := d.ptr(services.Struct(0), serviceValue).Struct()
	if w.Uint16(0) == workerTagScript {
		out.Script = d.text(w, workerCode)
	} else {
		kinds := []ModuleKind{ESModule, CommonJSModule, TextModule, DataModule, WasmModule, JSONModule}
		ml := d.list(w, workerCode)
		for i := range ml.Len() {
			s := ml.Struct(i)
			mod := Module{Name: d.text(s, moduleName), Kind: kinds[s.Uint16(0)]}
			if mod.Kind == DataModule || mod.Kind == WasmModule {
				mod.Body = d.ptr(s, moduleBody).Data()
			} else {
				mod.Body = d.ptr(s, moduleBody).TextBytes()
			}
			out.Modules = append(out.Modules, mod)
		}
	}
	out.Bindings = d.bindings(w, workerBindings)
	out.Date = d.text(w, workerDate)
	fl := capnp.TextList(d.ptr(w, workerFlags).List())
	for i := range fl.Len() {
		f, err := fl.At(i)
		d.check(err)
		out.Flags = append(out.Flags, f)
	}
	out.Outbound = d.text(d.ptr(w, workerGlobalOutbound).Struct(), designatorName)
	out.CacheOutbound = d.text(d.ptr(w, workerCacheOutbound).Struct(), designatorName)
	return out
}

type reader struct{ tb testing.TB }

func (r reader) check(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

func (r reader) ptr(s capnp.Struct, i uint16) capnp.Ptr {
	p, err := s.Ptr(i)
	r.check(err)
	return p
}

func (r reader) text(s capnp.Struct, i uint16) string     { return r.ptr(s, i).Text() }
func (r reader) list(s capnp.Struct, i uint16) capnp.List { return r.ptr(s, i).List() }

func (r reader) bindings(s capnp.Struct, i uint16) []Binding {
	l := r.list(s, i)
	var out []Binding
	for i := range l.Len() {
		s := l.Struct(i)
		b := Binding{Name: r.text(s, bindingName)}
		switch s.Uint16(0) {
		case bindingTagText:
			b.Kind, b.Text = TextBinding, r.text(s, bindingValue)
		case bindingTagJSON:
			b.Kind, b.Text = JSONBinding, r.text(s, bindingValue)
		case bindingTagData:
			b.Kind, b.Data = DataBinding, r.ptr(s, bindingValue).Data()
		case bindingTagWasm:
			b.Kind, b.Data = WasmBinding, r.ptr(s, bindingValue).Data()
		case bindingTagService:
			to := r.ptr(s, bindingValue).Struct()
			if name := r.text(to, designatorName); name == serviceUser {
				b.Kind, b.Entrypoint, b.Props = SelfBinding, r.text(to, designatorEntrypoint), r.text(to, designatorJSON)
			} else {
				b.Kind, b.Socket = FetcherBinding, strings.TrimPrefix(name, servicePrefix)
				b.RPC = b.Socket == "s.sock" // said by the service, not by the binding
			}
		case bindingTagWrapped:
			ws := r.ptr(s, bindingValue).Struct()
			b.Kind = WrappedBinding
			b.Wrapped = &Wrapped{Module: r.text(ws, wrappedModule), Entrypoint: r.text(ws, wrappedEntrypoint), Inner: r.bindings(ws, wrappedInner)}
			if b.Wrapped.Module == moduleTagged {
				inner := b.Wrapped.Inner[0]
				b = Binding{Name: b.Name, Kind: FetcherBinding, Socket: inner.Socket, TagRay: true}
			}
		case bindingTagObject:
			b.Kind, b.Class = ObjectBinding, r.text(r.ptr(s, bindingValue).Struct(), objectBindingClass)
		default:
			r.tb.Fatalf("binding %q has tag %d", b.Name, s.Uint16(0))
		}
		out = append(out, b)
	}
	return out
}

func TestConfigRoundTrip(t *testing.T) {
	w := everything()
	got := decode(t, encode(t, w))
	want := decoded{
		Services: []string{"user", "ready", "internet", "door:assets.sock", "door:cache.sock", "door:d1.sock", "door:egress.sock", "door:f.sock", "door:s.sock", "objects"},
		Modules:  w.Modules,
		Bindings: append(slices.Clone(w.Bindings), Binding{Name: "ASSETS", Kind: FetcherBinding, Socket: "assets.sock"}),
		Flags:    w.CompatibilityFlags, Date: w.CompatibilityDate, Outbound: "door:egress.sock",
		CacheOutbound: "door:cache.sock",
	}
	if len(got.Modules) == 0 || got.Modules[0].Name != "selvage-entry.js" {
		t.Fatalf("modules %+v", got.Modules)
	}
	got.Modules = got.Modules[1:]
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	w.Egress = false
	if got := decode(t, encode(t, w)).Outbound; got != "internet" {
		t.Errorf("a worker without egress sends to %q", got)
	}
}

// FuzzConfig holds that no name, flag or value from outside changes anything in a
// config but itself.
func FuzzConfig(f *testing.F) {
	f.Add("index.js", "a.txt", "NAME", "value", "2026-09-01", "nodejs_compat", []byte("export default {}"), false)
	f.Add(`x") , (name="y"`, "@@TRACE@@", `"],[`, "\x00", "d", "f", []byte{0xff, 0}, false)
	f.Add("../../x", "selvage-entry.js", "user", "door:egress.sock", "", "new_module_registry", []byte(nil), true)
	f.Add("*/ import 'selvage-internal:als' //", "\u2028", "__proto__", "}", "d", "\"", []byte("\\"), false)
	f.Fuzz(func(t *testing.T, main, other, binding, value, date, flag string, body []byte, service bool) {
		w := &Worker{
			ServiceWorker: service, CompatibilityDate: date, CompatibilityFlags: []string{flag},
			Modules: []Module{{Name: main, Kind: ESModule, Body: body}},
			Bindings: []Binding{
				{Name: binding, Kind: TextBinding, Text: value},
				{Name: binding + "2", Kind: JSONBinding, Text: value},
				{Name: binding + "3", Kind: DataBinding, Data: body},
			},
		}
		if !service {
			w.Modules = append(w.Modules, Module{Name: other, Kind: TextModule, Body: body}, Module{Name: other + "2", Kind: DataModule, Body: body})
		}
		if err := validate(w); err != nil {
			if fault := (*StartError)(nil); !errors.As(err, &fault) {
				t.Fatalf("not the script's fault? %v", err)
			}
			return
		}
		got := decode(t, encode(t, w))
		if d := cmp.Diff([]string{"user", "ready", "internet"}, got.Services); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(w.Bindings, got.Bindings, cmp.Comparer(bytes.Equal)); d != "" {
			t.Error(d)
		}
		if got.Date != date || got.Flags[0] != flag || got.Outbound != "internet" {
			t.Errorf("got %+v", got)
		}
		if service {
			if got.Script != string(body) {
				t.Errorf("script %q", got.Script)
			}
			return
		}
		if d := cmp.Diff(w.Modules, got.Modules[1:], cmp.Comparer(bytes.Equal)); d != "" {
			t.Error(d)
		}
		// Our module names the main module in exactly one literal a line.
		entry := string(got.Modules[0].Body)
		lines := strings.Count(mustScript(t, "entry")+mustScript(t, string(entryDefault)), "\n") + 2*len(namedExports(w))
		if n := strings.Count(entry, "\n"); n != lines {
			t.Errorf("our module has %d lines:\n%s", n, entry)
		}
		if slices.ContainsFunc(w.Modules, func(m Module) bool { return cleanName(m.Name) == got.Modules[0].Name }) {
			t.Errorf("our module has the name of another: %q", got.Modules[0].Name)
		}
	})
}

func mustScript(tb testing.TB, name string) string {
	tb.Helper()
	s, err := script(name, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// FuzzLogLine holds that no output of a process breaks the reader or passes as
// something that only the platform says.
func FuzzLogLine(f *testing.F) {
	for _, s := range []string{
		`{"timestamp":1795448749836,"level":"log","message":"hi { a: 1 }"}`,
		`{"timestamp":0,"level":"log","message":"\u00010123456789abcdef\u0001hi"}`,
		`{"timestamp":0,"level":"log","message":"\u00010123456789abcdef\u0002 { }"}`,
		`{"timestamp":"1795448749836","level":"error","source":"a.c++:1","message":"service user: Uncaught Error: boom\n  at index.js:1:7","context_depth":0}`,
		`{"timestamp":0,"level":"log","message":"\u0001!aaaa\u0001{\"type\":\"exception\"}"}`,
		`{"timestamp":0,"level":"log","message":"` + strings.Repeat("x", 100) + `\u00…[cut]`,
		`{"timestamp":99999999999999999999,"level":"","message":null}`,
		"*** Fatal uncaught kj::Exception", "", "{",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		r := newLogReader("0123456789abcdef0123456789abcdef", "selvage-entry.js", func(l LogLine) {
			n++
			if l.Kind == Exception || l.Kind == 0 {
				t.Errorf("line %+v", l)
			}
			if l.Invocation != "" && validInvocation(l.Invocation) != l.Invocation {
				t.Errorf("ray %q", l.Ray)
			}
			if level(l.Level) != l.Level || l.Time.IsZero() {
				t.Errorf("level %q, time %s", l.Level, l.Time)
			}
			if len(l.Message) > 4*len(b)+20 {
				t.Errorf("%d bytes became %d", len(b), len(l.Message))
			}
		})
		r.line(b)
		if n > 1 {
			t.Errorf("one line became %d", n)
		}
		if _, known := r.startInfo(); known {
			t.Error("a line without the nonce was believed")
		}
	})
}

// TestConfigByRuntime boots the real runtime with everything.
func TestConfigByRuntime(t *testing.T) {
	path := os.Getenv("SELVAGE_WORKERD")
	if path == "" {
		path = filepath.Join("..", "..", "..", "tools", "node_modules", "@cloudflare", "workerd-linux-64", "bin", "workerd")
	}
	dir, err := os.MkdirTemp("", "sw") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := everything()
	w.Modules[0].Body = []byte(`import "./c.cjs"; import "./t.txt"; import "./d.bin"; import "./w.wasm"; import "./j.json";
		import { env } from "cloudflare:workers";
		if (Object.keys(env).sort().join() !== "ASSETS,D,F,J,O,S,SELF,T,W") throw new Error(Object.keys(env).join());
		export const E = {};
		export default {};`)
	p, err := (&Launcher{Binary: path, V8Flags: []string{"--stack-size=800"}}).Start(t.Context(), dir, w, func(l LogLine) {
		if l.Kind == Runtime && l.Level == "error" {
			t.Errorf("the runtime says: %s", l.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
