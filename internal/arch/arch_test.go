package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/selvage-dev/selvage/"

// layer is where a folder below internal/ stands. A lower one never imports a
// higher one; services and doors do not import their own kind either.
type layer int

const (
	tool layer = iota
	service
	door
	root
)

// layers is the architecture. A new folder fails the test until it has a row.
var layers = map[string]layer{
	"fsx": tool, "sqlite": tool, "store": tool, "supervise": tool, "telemetry": tool,
	"upstream": tool, "sockio": tool, "cron": tool, "tail": tool, "websock": tool, "assets": tool, "config": tool, "runtimebin": tool, "sandbox": tool, "arch": tool,
	"httpcache": tool, "certs": tool, "ann": tool, "infer": tool,
	"history": tool,

	"rpcrelay": tool, "bundle": tool, "project": tool, "gitrepo": tool,

	"vectorize": service, "ai": service,
	"imagefs": tool, "netns": tool,

	"registry": service, "instances": service,

	"accounts": service, "d1": service, "workers": service, "kv": service,
	"cache": service, "ratelimit": service, "pages": service, "builds": service,

	"edge": door, "api": door, "bindings": door,

	"server": root, "cli": root,
}

// only names, for calls that one package alone may make, that package.
var only = map[string]string{
	"exec.Command": "internal/supervise", "exec.CommandContext": "internal/supervise", "os.StartProcess": "internal/supervise",
	"os.Create": "internal/fsx", "os.WriteFile": "internal/fsx", "os.Rename": "internal/fsx", "os.CreateTemp": "internal/fsx",
}

// TestImports reads the sources itself rather than running "go list": files
// that a test opens are part of its cache key, those of a child process are not.
func TestImports(t *testing.T) {
	files := 0
	eachSource(t, func(rel string, f *ast.File) {
		files++
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if msg := verdict(path.Dir(rel), imp); msg != "" {
				t.Errorf("%s: %s", rel, msg)
			}
		}
	})
	if files < 20 {
		t.Fatalf("read only %d source files: the walk is broken", files)
	}
}

// TestPrivileges holds that processes are started, and files made, in one
// place each.
func TestPrivileges(t *testing.T) {
	eachSource(t, func(rel string, f *ast.File) {
		if !strings.HasPrefix(rel, "internal/") && !strings.HasPrefix(rel, "cmd/") && !strings.HasPrefix(rel, "client/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || pkg.Obj != nil {
				return true
			}
			owner, guarded := only[pkg.Name+"."+sel.Sel.Name]
			if guarded && !strings.HasPrefix(rel, owner+"/") {
				t.Errorf("%s: %s.%s belongs to %s", rel, pkg.Name, sel.Sel.Name, owner)
			}
			return true
		})
	})
}

// TestVerdict keeps the rule itself honest: a rule that allows everything
// would pass TestImports too.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		from, to string
		refused  bool
	}{
		{"internal/edge", module + "internal/workers", false},
		{"internal/edge", module + "internal/edge/http1", false},
		{"internal/edge", module + "internal/api", true},
		{"internal/workers", module + "internal/accounts", true},
		{"internal/workers", module + "internal/workers/workerd", false},
		{"internal/workers", module + "internal/edge", true},
		{"internal/store", module + "internal/sqlite", false},
		{"internal/store", module + "internal/workers", true},
		{"internal/cli", module + "internal/workers", true},
		{"internal/cli", module + "client", false},
		{"internal/server", module + "internal/edge", false},
		{"internal/edge", module + "internal/server", true},
		{"internal/nosuch", module + "internal/fsx", true},
		{"client", module + "internal/store", true},
		{"client", module + "internal/assets", false},
		{"internal/edge", "net/http", false},
	} {
		if got := verdict(c.from, c.to); (got != "") != c.refused {
			t.Errorf("verdict(%s, %s) = %q", c.from, c.to, got)
		}
	}
}

// eachSource calls visit for every product source file of the module, with its
// slash-separated path from the top.
func eachSource(t *testing.T, visit func(rel string, f *ast.File)) {
	t.Helper()
	top := filepath.Join("..", "..")
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && (base == "testdata" || base == "node_modules" || base == "tools" || (base != ".." && strings.HasPrefix(base, "."))) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(rel), f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// verdict returns why the package in folder from may not import imp, or "".
func verdict(from, imp string) string {
	rest, ours := strings.CutPrefix(imp, module)
	if !ours {
		return ""
	}
	to, internal := folder(rest)
	if from == "client" || strings.HasPrefix(from, "client/") {
		if internal && to != "assets" {
			return "client may use no internal package but assets, not " + to
		}
		return ""
	}
	here, below := folder(from)
	if !below || !internal || here == to {
		return ""
	}
	mine, known := layers[here]
	theirs, knownToo := layers[to]
	switch {
	case !known:
		return "internal/" + here + " has no row in layers"
	case !knownToo:
		return "internal/" + to + " has no row in layers"
	case here == "server":
		return ""
	case here == "cli":
		if !slices.Contains([]string{"server", "config", "runtimebin", "telemetry", "fsx", "store", "accounts", "bundle", "project", "history"}, to) {
			return "the cli reaches " + to + " through client only"
		}
		return ""
	case theirs == root:
		return "only cmd and cli may import internal/" + to
	case theirs > mine:
		return "internal/" + here + " is below internal/" + to
	case theirs == mine && mine != tool:
		return "internal/" + here + " and internal/" + to + " are of one layer"
	}
	return ""
}

// folder returns the first path element below internal/.
func folder(p string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(p, "internal/")
	if !ok {
		return "", false
	}
	name, _, _ = strings.Cut(rest, "/")
	return name, true
}
