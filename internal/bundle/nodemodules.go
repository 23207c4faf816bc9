package bundle

import (
	"regexp"
	"slices"
	"strings"
)

// nodeModule says from when on the runtime has a module of Node.js.
type nodeModule struct {
	// since is the compatibility date; "" is always, with nodejs_compat.
	since string
	// feature is what the flags enable_nodejs_… and disable_nodejs_… end in.
	feature string
	// hybrid modules are in the runtime in part, and wrangler completes them.
	hybrid bool
	// always says that the runtime has a usable module at any date.
	always bool
}

func (m nodeModule) flag() string { return "enable_nodejs_" + m.feature }

func (m nodeModule) native(o *Options) bool {
	switch {
	case m.since == "":
		return true
	case m.feature == processV2:
		return o.processV2()
	}
	return o.enabled(m.flag(), "disable_nodejs_"+m.feature, m.since)
}

const processV2 = "process_v2"

// processV2 says whether the runtime's own process is complete. It also needs
// fetch to take what that process streams.
func (o *Options) processV2() bool {
	if !o.enabled("enable_nodejs_process_v2", "disable_nodejs_process_v2", "2025-09-15") {
		return false
	}
	return o.enabled("fetch_iterable_type_support", "no_fetch_iterable_type_support", "2026-02-19") &&
		o.enabled("fetch_iterable_type_support_override_adjustment", "no_fetch_iterable_type_support_override_adjustment", "2026-01-15")
}

// globalNative says whether the runtime sets a global of Node.js by itself.
func globalNative(o *Options, name string) bool {
	module := name
	if name == "performance" {
		module = "perf_hooks"
	}
	return nodeModules()[module].native(o)
}

// nodeModules is every module of Node.js by its bare name.
func nodeModules() map[string]nodeModule {
	all := map[string]nodeModule{}
	for name := range strings.FieldsSeq(`_stream_duplex _stream_passthrough _stream_readable _stream_transform _stream_writable
		_tls_common _tls_wrap assert assert/strict async_hooks buffer constants crypto diagnostics_channel dns dns/promises
		events net path path/posix path/win32 querystring module stream stream/consumers stream/promises stream/web
		string_decoder sys timers timers/promises tls url util util/types zlib`) {
		all[name] = nodeModule{always: true}
	}
	for _, group := range []struct{ since, feature, names string }{
		{"2025-08-15", "http_modules", "_http_agent _http_client _http_common _http_incoming _http_outgoing http https"},
		{"2025-09-01", "http_server_modules", "_http_server"},
		{"2025-09-01", "http2_module", "http2"},
		{"2025-09-15", "os_module", "os"},
		{"2025-09-15", "fs_module", "fs fs/promises"},
		{"2025-10-01", "vm_module", "vm"},
		{"2025-12-04", "punycode_module", "punycode"},
		{"2025-12-04", "cluster_module", "cluster"},
		{"2025-12-04", "trace_events_module", "trace_events"},
		{"2025-12-04", "domain_module", "domain"},
		{"2025-12-04", "wasi_module", "wasi"},
		{"2026-01-29", "inspector_module", "inspector inspector/promises"},
		{"2026-01-29", "sqlite_module", "sqlite"},
		{"2026-01-29", "dgram_module", "dgram"},
		{"2026-01-29", "stream_wrap_module", "_stream_wrap"},
		{"2026-03-17", "repl_module", "repl"},
		{"2026-03-17", "v8_module", "v8"},
		{"2026-03-17", "tty_module", "tty"},
		{"2026-03-17", "child_process_module", "child_process"},
		{"2026-03-17", "worker_threads_module", "worker_threads"},
		{"2026-03-17", "readline_module", "readline readline/promises"},
		{"2026-03-17", "perf_hooks_module", "perf_hooks"},
	} {
		for name := range strings.FieldsSeq(group.names) {
			all[name] = nodeModule{since: group.since, feature: group.feature}
		}
	}
	all["console"] = nodeModule{since: "2025-09-21", feature: "console_module", hybrid: true}
	all["process"] = nodeModule{since: "2026-02-19", feature: processV2, hybrid: true, always: true}
	return all
}

// nodePattern matches an import of a module of Node.js. There is one that has
// no bare name.
func nodePattern() string {
	var names []string
	for name := range nodeModules() {
		if name != "sqlite" {
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	slices.Sort(names)
	return "^(node:.+|" + strings.Join(names, "|") + ")$"
}

// shim stands in for a package that only makes sense in Node.js.
type shim struct {
	from string // where wrangler takes it from
	text string
}

// shims are the packages that wrangler replaces too: the runtime has what they
// bring, and their own code needs sockets or native add-ons.
func shims() map[string]shim {
	const fetch = `export const fetch = (...args) => globalThis.fetch(...args);
export const { Headers, Request, Response, FormData, Blob, AbortController } = globalThis;
export const isRedirect = (code) => [301, 302, 303, 307, 308].includes(code);
export class FetchError extends Error { constructor(message, type) { super(message); this.name = "FetchError"; this.type = type; } }
export class AbortError extends Error { constructor(message) { super(message); this.name = "AbortError"; this.type = "aborted"; } }
export default fetch;`
	const empty = "export default {};"
	return map[string]shim{
		"node-fetch":                 {"unenv/npm/node-fetch", fetch},
		"node-fetch-native":          {"unenv/npm/node-fetch", fetch},
		"cross-fetch":                {"unenv/npm/cross-fetch", fetch},
		"node-fetch-native/polyfill": {"unenv/mock/empty", empty},
		"cross-fetch/polyfill":       {"unenv/mock/empty", empty},
		"isomorphic-fetch":           {"unenv/mock/empty", empty},
		"fsevents":                   {"unenv/npm/fsevents", empty},
		"whatwg-url": {"unenv/npm/whatwg-url/index", `export const { URL, URLSearchParams } = globalThis;
export default { URL, URLSearchParams };`},
		"whatwg-url/webidl2js-wrapper": {"unenv/npm/whatwg-url/webidl2js-wrapper", `const wrap = (C) => ({ install() {}, interface: C });
export const URL = wrap(globalThis.URL), URLSearchParams = wrap(globalThis.URLSearchParams);
export default { URL, URLSearchParams };`},
		"inherits": {"unenv/npm/inherits", `module.exports = function inherits(ctor, parent) {
  if (!parent) return;
  ctor.super_ = parent;
  ctor.prototype = Object.create(parent.prototype, { constructor: { value: ctor, enumerable: false, writable: true, configurable: true } });
};`},
	}
}

func shimPattern() string {
	var names []string
	for name := range shims() {
		names = append(names, regexp.QuoteMeta(name))
	}
	slices.Sort(names)
	return "^(" + strings.Join(names, "|") + ")$"
}
