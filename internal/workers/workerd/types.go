package workerd

import (
	"encoding/json"
	"os"
	"time"
)

// Worker is one version of a script, ready to be started.
type Worker struct {
	// Account, Script and Version name the worker in errors and logs only.
	Account, Script, Version string
	// Modules are the parts of the script; the first is the main module.
	Modules []Module
	// ServiceWorker says that Modules[0] is a script in service-worker syntax
	// (addEventListener); it is then the only module.
	ServiceWorker bool
	// CompatibilityDate is "2006-01-02"; see [Launcher.MaxCompatibilityDate].
	CompatibilityDate  string
	CompatibilityFlags []string
	Bindings           []Binding
	// Egress says that outbound fetch and connect go to egress.sock; without it
	// they fail.
	Egress bool
	// Cache says that caches.default and caches.open go to cache.sock; without it
	// every use of them fails.
	Cache bool
	// Subrequests bounds how often one invocation may call fetch and the Cache API,
	// and how often what its bindings lead to; 0 does not.
	Subrequests int
	// Assets is the name of the binding that goes to assets.sock; empty for
	// none.
	Assets string
	// Objects are the Durable Object classes of the main module.
	Objects []ObjectClass
	// Remote are classes of which another process has the objects open.
	Remote []RemoteClass
	// Storage is the absolute path of the folder in which the objects' data
	// lies, the only one the process may write to. Empty: in memory, gone with
	// the process.
	Storage string
	// Locks are open files that the process inherits and does nothing with.
	// While it lives it holds the locks on them, also when the platform died.
	// They still belong to the caller, who may close them when Start returned.
	Locks []*os.File
	// Containers is the file name of the socket, in the private folder, that runs the
	// containers of its objects. The process then has loopback, on which they are
	// reached. Empty: they have none.
	Containers string
	// Sockets are those on which other processes call the worker, beside the one
	// for visitors; see [Socket].
	Sockets []Socket
}

// Socket is a listening socket that leads to one entrypoint of the worker. It
// speaks HTTP, and Cap'n Proto RPC after a CONNECT to [ConnectHost]. Whoever can
// connect to it has all rights of a binding to that entrypoint.
type Socket struct {
	// File is its name in the private folder, as [Binding.Socket].
	File string
	// Entrypoint is the export; empty is the default one. The runtime refuses to
	// start a worker that has no such export.
	Entrypoint string
	// Props is the JSON text that the entrypoint finds in ctx.props; empty is {}.
	Props string
	// Objects says that it leads to the objects of the worker instead, for the
	// [RemoteClass] of another process.
	Objects bool
}

// Module is one module of a worker.
type Module struct {
	// Name is what other modules import, for instance "index.js" or
	// "lib/a.wasm".
	Name string
	Kind ModuleKind
	Body []byte
}

// ModuleKind says how a module is evaluated.
type ModuleKind int

// The kinds of modules that workerd loads.
const (
	ESModule ModuleKind = iota + 1
	CommonJSModule
	TextModule
	DataModule
	WasmModule
	JSONModule
	// PythonModule is known so that it can be refused by name.
	PythonModule
)

// Binding is one property of a worker's env (of the global scope, in
// service-worker syntax).
type Binding struct {
	Name string
	Kind BindingKind

	// Text is the value of a TextBinding, and the JSON text of a JSONBinding.
	Text string
	// Data is the value of a DataBinding or the module of a WasmBinding.
	Data []byte
	// Socket is the file name of the unix socket, in the private folder, to
	// which a FetcherBinding or KVBinding sends its requests.
	Socket string
	// TagRay makes a FetcherBinding add the ray of the request that is being
	// handled, as header "selvage-ray". Only the Inner bindings of a
	// WrappedBinding may have it: such a fetcher has a fetch method and nothing
	// else, which the platform's own wrappers are content with and user code
	// is not. A worker can forge the header: it explains, it never authorises.
	TagRay bool
	// RPC says that a FetcherBinding's socket speaks Cap'n Proto RPC, too: the
	// worker can call methods. Bindings with one Socket agree on it.
	RPC bool
	// Calls makes of a FetcherBinding or SelfBinding one that a worker calls others
	// by: each call is an invocation of its own; see js/calls.js.
	Calls bool
	// Entrypoint and Props are what a SelfBinding leads to, as in [Socket].
	Entrypoint, Props string
	// Wrapped is set for a WrappedBinding.
	Wrapped *Wrapped
	// Class is the [ObjectClass] that an ObjectBinding is the namespace of; Key
	// names a [RemoteClass] instead.
	Class string
	Key   string

	// Service is the worker in the config that has the Class; it is set within this
	// package only.
	Service string
}

// BindingKind says what a binding gives to the worker.
type BindingKind int

// The kinds of bindings.
const (
	TextBinding BindingKind = iota + 1
	JSONBinding
	DataBinding
	WasmBinding
	FetcherBinding
	WrappedBinding
	KVBinding
	ObjectBinding
	// SelfBinding is a service binding to the worker itself, inside the process.
	SelfBinding
)

// Wrapped describes a binding whose object is made by a module of the runtime.
type Wrapped struct {
	// Module is the module, for instance "cloudflare-internal:d1-api".
	Module string
	// Entrypoint is the export that makes the object; empty means the default
	// export.
	Entrypoint string
	// Inner is the env that the module gets.
	Inner []Binding
}

// LogLine is one thing that a worker said or that was said about it.
type LogLine struct {
	Time time.Time
	// Level is "debug", "log", "info", "warn" or "error".
	Level string
	// Ray is the id of the request during which it happened; empty when there
	// was none or it is not known.
	Ray string
	// Invocation is the Ray, with a step for each call from one worker to another
	// that led to the invocation; see js/calls.js.
	Invocation string
	// Message is bounded by supervise.MaxLine.
	Message string
	// Stack is set for an Exception: the frames, one a line, without the
	// message.
	Stack string
	// Entrypoint and Event, of Began, say what began: the name of an export (empty is
	// the default one), and a JSON object as trace items have it.
	Entrypoint string
	Event      json.RawMessage
	// Status, of Finished, is that of the answer that was given; 0 for none.
	Status int
	// ErrorName and ErrorMessage are the parts of an Exception's Message; the name
	// is empty for what is no Error.
	ErrorName, ErrorMessage string
	// Args, of a Console line, is a JSON array of what was printed: only while a
	// tail is open (see [Process.Watch]), and not of very long lines.
	Args json.RawMessage
	Kind LogKind
}

// LogKind says where a LogLine comes from.
type LogKind int

// The kinds of log lines.
const (
	// Console is the worker's own output.
	Console LogKind = iota + 1
	// Exception is an exception that the worker did not catch.
	Exception
	// Runtime is said by workerd itself.
	Runtime
	// Began says, while a tail is open, that an invocation has begun of which the
	// platform does not know. It may be said twice.
	Began
	// Finished says, while a tail is open, that the handler of the request with
	// this ray and all that it gave to waitUntil have ended. It has no Message.
	Finished
)

// StartError says that a worker cannot be started and that its script, or what
// was declared with it, is at fault: the same upload will always fail. Any other
// error of [Launcher.Start] is the platform's trouble and may pass.
type StartError struct {
	// Text is what the runtime said, ready to be shown to the one who deploys:
	// the message and, below it, the stack as "  at index.js:1:7" lines.
	Text string
	// Message is Text without the stack.
	Message string
	// Stack is the stack of Text, one frame a line; empty when there is none.
	Stack string
}

func (e *StartError) Error() string { return e.Text }
