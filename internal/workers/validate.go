package workers

import (
	"mime"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	maxScriptName     = 63
	maxModuleName     = 512 // bytes
	maxAnnotation     = 1000
	maxAnnotations    = 32
	maxFlags          = 200
	sourceMapType     = "application/source-map"
	scriptType        = "application/javascript"
	oldestCompatDate  = "2021-11-02" // what a script without a date is run with
	annotationMaxTag  = 100
	annotationMaxName = 100
)

// scope names the script that a call is about.
type scope struct{ account, script string }

func itoa(i int) string { return strconv.Itoa(i) }

// checkScriptName accepts what wrangler accepts as a worker's name, except that
// a hostname's label bounds the length.
func checkScriptName(name string) error {
	ok := name != "" && len(name) <= maxScriptName && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
	}
	if !ok {
		return fail(CodeInvalidName, 400, "The Worker name %q is not allowed. Use 1 to %d characters of a-z, 0-9, - and _, and do not begin with -.", clip(name), maxScriptName)
	}
	return nil
}

// clip bounds a name from outside for a message.
func clip(s string) string {
	const limit = 100
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// moduleKind maps the content type of a part; ok is false when there is none.
func moduleKind(contentType string) (kind workerd.ModuleKind, ok bool) {
	switch contentType {
	case "application/javascript+module":
		return workerd.ESModule, true
	case scriptType:
		return workerd.CommonJSModule, true
	case "text/plain":
		return workerd.TextModule, true
	case "application/octet-stream":
		return workerd.DataModule, true
	case "application/wasm":
		return workerd.WasmModule, true
	case "application/json":
		return workerd.JSONModule, true
	}
	return 0, false
}

// checkModules checks the parts of an upload and returns them with bare content types.
func (s *Service) checkModules(u *Upload) ([]Module, error) {
	if len(u.Modules) > s.o.MaxModules {
		return nil, fail(CodeTooLarge, 413, "The script has %d modules; at most %d are allowed.", len(u.Modules), s.o.MaxModules)
	}
	modules := make([]Module, 0, len(u.Modules))
	seen := make(map[string]string)
	var total, maps int64
	for _, in := range u.Modules {
		if err := checkModuleName(in.Name); err != nil {
			return nil, err
		}
		// The runtime resolves "./a" and "a" to the same module.
		if other, twice := seen[path.Clean(in.Name)]; twice {
			return nil, invalidScript("The modules %q and %q have the same name.", other, in.Name)
		}
		seen[path.Clean(in.Name)] = in.Name
		ct, _, err := mime.ParseMediaType(in.ContentType)
		if err != nil {
			return nil, invalidScript("The module %q has no usable content type (%q).", in.Name, clip(in.ContentType))
		}
		if strings.HasPrefix(ct, "text/x-python") {
			return nil, fail(CodeNotOffered, 400, "The module %q is Python, which this release does not offer.", in.Name)
		}
		if _, known := moduleKind(ct); !known && ct != sourceMapType {
			return nil, invalidScript("The module %q has the content type %q, which is none that a module can have.", in.Name, clip(ct))
		}
		if ct == sourceMapType {
			maps += in.Size
		} else {
			total += in.Size
		}
		switch {
		case total > s.o.MaxScriptSize:
			return nil, fail(CodeTooLarge, 413, "The script is larger than %d bytes, the bound for all its modules together.", s.o.MaxScriptSize)
		case maps > s.o.MaxSourceMaps:
			return nil, fail(CodeTooLarge, 413, "The source maps of the script are larger than %d bytes together.", s.o.MaxSourceMaps)
		}
		if !s.o.Store.Blobs.Has(in.Blob) {
			return nil, fail(CodeInvalidRequest, 400, "The content of the module %q is gone. Upload again.", in.Name)
		}
		modules = append(modules, Module{Name: in.Name, ContentType: ct, Blob: in.Blob, Size: in.Size})
	}
	return modules, nil
}

// checkModuleName refuses names that would leave a folder. They never touch the
// file system here, but they are returned by the API to tools that may.
func checkModuleName(name string) error {
	switch {
	case name == "" || len(name) > maxModuleName:
		return invalidScript("The module name %q must have 1 to %d bytes.", clip(name), maxModuleName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return invalidScript("The module name %q has characters that are not allowed.", clip(name))
	case strings.HasPrefix(name, "/") || strings.HasPrefix(name, `\`):
		return invalidScript("The module name %q is an absolute path. Use a path relative to the main module.", clip(name))
	}
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." {
			return invalidScript("The module name %q leaves its folder with \"..\". Use a path below the main module.", clip(name))
		}
	}
	return nil
}

// checkEntry checks that the main module or the script is there, and that the
// other modules fit to it.
func checkEntry(u *Upload, modules []Module) error {
	if u.MainModule != "" && u.BodyPart != "" {
		return invalidScript("The metadata has both main_module and body_part. Use main_module for ES modules, body_part for a service worker.")
	}
	find := func(name string) int {
		return slices.IndexFunc(modules, func(m Module) bool { return m.Name == name })
	}
	switch {
	case u.MainModule != "":
		i := find(u.MainModule)
		if i < 0 {
			return invalidScript("The main module %q is not among the uploaded modules.", clip(u.MainModule))
		}
		if kind, _ := moduleKind(modules[i].ContentType); kind != workerd.ESModule {
			return invalidScript("The main module %q is of type %q; it must be an ES module (application/javascript+module).", u.MainModule, modules[i].ContentType)
		}
	case u.BodyPart != "":
		i := find(u.BodyPart)
		if i < 0 {
			return invalidScript("The script %q named by body_part is not among the uploaded parts.", clip(u.BodyPart))
		}
		if modules[i].ContentType != scriptType {
			return invalidScript("The script %q is of type %q; a service worker must be application/javascript.", u.BodyPart, modules[i].ContentType)
		}
		for _, m := range modules {
			if m.Name != u.BodyPart && m.ContentType != sourceMapType {
				return invalidScript("The part %q is neither the script nor bound by a binding. A service worker has no modules.", m.Name)
			}
		}
	case len(modules) > 0:
		return invalidScript("The upload has modules but neither main_module nor body_part says which one is the script.")
	case u.Assets == nil && !u.KeepAssets:
		return invalidScript("The upload has neither a script nor assets.")
	}
	return nil
}

// checkRest checks dates, flags and annotations.
func checkRest(u *Upload) error {
	if u.CompatibilityDate != "" {
		if _, err := time.Parse(time.DateOnly, u.CompatibilityDate); err != nil {
			return invalidScript("The compatibility date %q is not a date of the form 2006-01-02.", clip(u.CompatibilityDate))
		}
	}
	if len(u.CompatibilityFlags) > maxFlags {
		return invalidScript("There are %d compatibility flags; at most %d are allowed.", len(u.CompatibilityFlags), maxFlags)
	}
	for _, f := range u.CompatibilityFlags {
		if f == "" || len(f) > 100 || !utf8.ValidString(f) || strings.ContainsFunc(f, isControl) {
			return invalidScript("The compatibility flag %q is not one.", clip(f))
		}
	}
	return checkAnnotations(u.Annotations)
}

func checkAnnotations(a map[string]string) error {
	if len(a) > maxAnnotations {
		return fail(CodeInvalidRequest, 400, "There are %d annotations; at most %d are allowed.", len(a), maxAnnotations)
	}
	for k, v := range a {
		if len(k) > annotationMaxName || len(v) > maxAnnotation {
			return fail(CodeInvalidRequest, 400, "The annotation %q is too long: its value may have %d bytes.", clip(k), maxAnnotation)
		}
	}
	if tag := a[AnnotationTag]; len(tag) > annotationMaxTag {
		return fail(CodeInvalidRequest, 400, "The version tag is longer than %d bytes.", annotationMaxTag)
	}
	if alias, ok := a[AnnotationAlias]; ok && !validAlias(alias) {
		return fail(CodeInvalidRequest, 400, "The preview alias %q is not allowed. Use a-z, 0-9 and -, begin with a letter, and do not end with -.", clip(alias))
	}
	return nil
}

func validAlias(alias string) bool {
	if alias == "" || len(alias) > maxScriptName || alias[0] < 'a' || alias[0] > 'z' || alias[len(alias)-1] == '-' {
		return false
	}
	for i := range len(alias) {
		c := alias[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
