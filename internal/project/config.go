package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/selvage-dev/selvage/internal/bundle"
)

// Options says what to read.
type Options struct {
	// Dir is where to look for the configuration, and upwards. Absolute.
	Dir string
	// File is the configuration; "" means to look for it.
	File string
	// Env is the environment; "" means the top level.
	Env string
	// Pages says that the configuration is to be that of a Pages project; it is
	// refused when it is that of a Worker, and the other way round.
	Pages bool
}

// Config is one environment of a project's configuration. Paths are absolute.
type Config struct {
	// File is the configuration; "" when there is none.
	File string
	// Root is the project's folder.
	Root string
	Env  string
	// Environments are the names of all.
	Environments []string
	// Warnings are for the person who deploys.
	Warnings []string

	Name               string         `json:"name"`
	PagesOutput        string         `json:"pages_build_output_dir"` // as it is written
	Main               string         `json:"main"`
	AccountID          string         `json:"account_id"`
	CompatibilityDate  string         `json:"compatibility_date"`
	CompatibilityFlags []string       `json:"compatibility_flags"`
	KeepVars           bool           `json:"keep_vars"`
	WorkersDev         *bool          `json:"workers_dev"`
	PreviewURLs        *bool          `json:"preview_urls"`
	Triggers           Triggers       `json:"triggers"`
	Routes             []Route        `json:"-"`
	Assets             *Assets        `json:"assets"`
	Migrations         []Migration    `json:"migrations"`
	Exports            map[string]any `json:"exports"`
	Build              BuildCommand   `json:"build"`
	Secrets            struct {
		Required []string `json:"required"`
	} `json:"secrets"`

	// Kept as they are, for the upload.
	Limits                 any   `json:"limits"`
	Placement              any   `json:"placement"`
	Observability          any   `json:"observability"`
	Logpush                *bool `json:"logpush"`
	TailConsumers          []any `json:"tail_consumers"`
	StreamingTailConsumers []any `json:"streaming_tail_consumers"`
	Containers             []any `json:"containers"`
	Cache                  any   `json:"cache"`

	Bundling Bundling `json:"-"`
	Bindings []Binding
	// Workflows are those that this worker owns.
	Workflows []Workflow    `json:"-"`
	Consumers []QueueReader `json:"-"`
	// Blobs are the parts that bindings of the service-worker format name.
	Blobs []Blob `json:"-"`
	// Site is set when the project uses the old Workers Sites.
	Site map[string]any `json:"site"`
}

// Bundling is how the configuration wants the code to be built.
type Bundling struct {
	Rules                 []bundle.Rule     `json:"rules"`
	BaseDir               string            `json:"base_dir"`
	FindAdditionalModules *bool             `json:"find_additional_modules"`
	PreserveFileNames     bool              `json:"preserve_file_names"`
	NoBundle              bool              `json:"no_bundle"`
	Minify                bool              `json:"minify"`
	KeepNames             *bool             `json:"keep_names"`
	UploadSourceMaps      *bool             `json:"upload_source_maps"`
	TSConfig              string            `json:"tsconfig"`
	JSXFactory            string            `json:"jsx_factory"`
	JSXFragment           string            `json:"jsx_fragment"`
	Define                map[string]string `json:"define"`
	Alias                 map[string]string `json:"alias"`
}

// Triggers are the ways to a worker besides its hostnames. Nil crons mean that
// the configuration says nothing of them.
type Triggers struct {
	Crons *[]string `json:"crons"`
}

// Assets are the static files.
type Assets struct {
	Directory        string `json:"directory"`
	Binding          string `json:"binding"`
	HTMLHandling     string `json:"html_handling"`
	NotFoundHandling string `json:"not_found_handling"`
	// RunWorkerFirst is a bool or a list of patterns; nil means false.
	RunWorkerFirst any `json:"run_worker_first"`
}

// Migration is one step in the life of a worker's classes of objects.
type Migration struct {
	Tag  string
	Step map[string]any
}

// UnmarshalJSON keeps all but the tag as it is.
func (m *Migration) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &m.Step); err != nil {
		return err
	}
	tag, ok := m.Step["tag"].(string)
	if !ok || tag == "" {
		return errors.New(`a migration has no "tag"`)
	}
	delete(m.Step, "tag")
	m.Tag = tag
	return nil
}

// BuildCommand is a command that makes the project's entry point.
type BuildCommand struct {
	Command string `json:"command"`
	Dir     string `json:"cwd"`
}

// Blob is a file that a binding of the service-worker format carries.
type Blob struct {
	Name, Kind, File string
}

// Load reads a configuration. The error is [ErrNoConfig] when there is none, and
// an [*Error] when it is wrong.
func Load(o Options) (*Config, error) {
	src := source{user: o.File, file: o.File}
	if o.File == "" {
		var err error
		if src, err = find(o.Dir); err != nil {
			return nil, err
		}
	}
	raw, err := read(src.file)
	if err != nil {
		return nil, err
	}
	p := &problems{}
	var values map[string]any
	if src.redirected {
		// What a build tool generates is of one environment already.
		if target, ok := raw["targetEnvironment"].(string); ok && o.Env != "" && target != "" && target != o.Env {
			p.errorf("it was built for the environment %q, not for %q; build the project again", target, o.Env)
		}
		for _, name := range []string{"targetEnvironment", "topLevelName", "definedEnvironments", "legacy_env", "userConfigPath", "configPath"} {
			delete(raw, name)
		}
		values = choose(raw, "", p)
	} else if o.Pages {
		values = choosePages(raw, o.Env, p)
	} else {
		values = choose(raw, o.Env, p)
	}
	c := &Config{File: src.file, Env: o.Env, Root: filepath.Dir(src.file)}
	if all, ok := raw["env"].(map[string]any); ok {
		c.Environments = slices.Sorted(maps.Keys(all))
	}
	if src.user != "" {
		c.Root = filepath.Dir(src.user)
	}
	c.fill(values, p)
	switch {
	case c.PagesOutput != "" && !o.Pages:
		p.errorf("\"pages_build_output_dir\" makes this a Pages project, which \"selvage pages deploy\" deploys; this command is for Workers")
	case c.PagesOutput == "" && o.Pages:
		p.errorf("it has no \"pages_build_output_dir\", so it is that of a Worker; a Pages project names its folder there")
	case o.Pages:
		if src.redirected {
			values = nil // a build tool writes the defaults of all keys
		}
		c.checkPages(values, p)
	}
	slices.Sort(p.warnings)
	c.Warnings = p.warnings
	if len(p.errors) > 0 {
		return c, &Error{File: src.file, Problems: p.errors}
	}
	return c, nil
}

// Empty is the configuration of a folder that has none.
func Empty(dir string) *Config { return &Config{Root: dir} }

// fill decodes the chosen values.
func (c *Config) fill(values map[string]any, p *problems) {
	for name, v := range values {
		var err error
		one := map[string]any{name: v}
		if fieldOf(c, name) {
			err = into(one, c)
		}
		if err == nil && fieldOf(&c.Bundling, name) {
			err = into(one, &c.Bundling)
		}
		if err != nil {
			p.errorf("%q has a wrong value, %s: %s", name, show(v), reason(err))
		}
	}
	slices.Sort(p.errors)
	dir := filepath.Dir(c.File)
	if c.Main != "" {
		c.Main = resolve(dir, c.Main)
	}
	if c.Bundling.BaseDir != "" {
		c.Bundling.BaseDir = resolve(dir, c.Bundling.BaseDir)
	}
	if c.Bundling.TSConfig != "" {
		c.Bundling.TSConfig = resolve(dir, c.Bundling.TSConfig)
	}
	if c.Assets != nil && c.Assets.Directory != "" {
		c.Assets.Directory = resolve(dir, c.Assets.Directory)
	}
	checkEffect(values, p)
	c.routes(values, p)
	c.Bindings = bindings(values, p)
	c.blobs(values, dir, p)
	c.owned(values, p)
	c.check(p)
}

func into(v, to any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// reason is a decoding error without Go's names for things.
func reason(err error) string {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%q does not take a %s", typ.Field, typ.Value)
	}
	return err.Error()
}

func resolve(dir, file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(dir, filepath.FromSlash(file))
}

var (
	validName = regexp.MustCompile(`^[a-z0-9_][a-z0-9-_]*$`)
	validDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// CheckName says whether a worker can have a name.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("the worker's name %q is not valid; use lower-case letters, digits, - and _", name)
	}
	return nil
}

// CheckDate says whether text is a compatibility date.
func CheckDate(text string) error {
	if !validDate.MatchString(text) {
		return fmt.Errorf("the compatibility date %q is not of the form YYYY-MM-DD", text)
	}
	return nil
}

func (c *Config) check(p *problems) {
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			p.errorf("\"name\": %v", err)
		}
	}
	if c.CompatibilityDate != "" {
		if err := CheckDate(c.CompatibilityDate); err != nil {
			p.errorf("\"compatibility_date\": %v", err)
		}
	}
	if len(c.Migrations) > 0 && len(c.Exports) > 0 {
		p.errorf("\"migrations\" and \"exports\" exclude each other: both say which classes of objects there are")
	}
	if c.Assets != nil && c.Assets.Directory != "" {
		if info, err := os.Stat(c.Assets.Directory); err != nil || !info.IsDir() {
			p.errorf("\"assets.directory\" is %s, which is no folder", c.Assets.Directory)
		}
	}
}
