package bundle

// Options says what to bundle and how. All paths are absolute.
type Options struct {
	// Root is the project's folder: aliases and reported paths start there.
	Root string
	// Main is the file with the handlers.
	Main string
	// ModuleRoot is where additional modules are looked for; "" is the folder of Main.
	ModuleRoot string
	// ConfigFile is never taken as an additional module; may be "".
	ConfigFile string

	CompatibilityDate  string
	CompatibilityFlags []string

	// Rules come before the default ones.
	Rules []Rule
	// FindAdditionalModules also uploads the files below ModuleRoot that match a
	// rule. nil means the default: no with bundling, yes without.
	FindAdditionalModules *bool
	// PreserveFileNames keeps the names of collected modules instead of hashing.
	PreserveFileNames bool

	// NoBundle uploads Main as it is.
	NoBundle bool
	Minify   bool
	// DropNames lets functions lose their names where the bundler renames them.
	DropNames  bool
	SourceMaps bool

	Define map[string]string
	Alias  map[string]string
	// TSConfig is a file; "" lets the bundler look for tsconfig.json.
	TSConfig                string
	JSXFactory, JSXFragment string
	// NodeEnv is what process.env.NODE_ENV is replaced with; "" means "production".
	NodeEnv string

	// AssetFolder makes a folder that is imported with "assets:" a part of the site and returns its path there, from
	// "/" on; nil: no such import is known. It is called by one at a time.
	AssetFolder func(dir string) (string, error)

	// Objects and Workflows are classes that Main must export.
	Objects, Workflows []string
}

// Kind is what a module is to the runtime.
type Kind string

// The kinds.
const (
	ESModule     Kind = "esm"
	CommonJS     Kind = "commonjs" // also the one script of the service-worker format
	CompiledWasm Kind = "compiled-wasm"
	Text         Kind = "text"
	Data         Kind = "buffer"
	SourceMap    Kind = "source-map"
)

// ContentType is the kind in an upload; "" for one that is unknown.
func (k Kind) ContentType() string {
	switch k {
	case ESModule:
		return "application/javascript+module"
	case CommonJS:
		return "application/javascript"
	case CompiledWasm:
		return "application/wasm"
	case Text:
		return "text/plain"
	case Data:
		return "application/octet-stream"
	case SourceMap:
		return "application/source-map"
	}
	return ""
}

// Module is one part of an upload.
type Module struct {
	// Name is what other modules import it by.
	Name string
	// Path is the file it comes from; "" for one that was made.
	Path    string
	Kind    Kind
	Content []byte
}

// Result is a built worker.
type Result struct {
	// ServiceWorker says that Main registers listeners instead of exporting handlers.
	ServiceWorker bool
	Main          Module
	Modules       []Module
	SourceMaps    []Module
	// Warnings are ready to be printed.
	Warnings []string
}

// Error is a project that cannot be built.
type Error struct {
	// Text has file, line and excerpt where there are such.
	Text string
}

func (e *Error) Error() string { return e.Text }
