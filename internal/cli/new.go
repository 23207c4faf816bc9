package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/examples"
	"github.com/selvage-dev/selvage/internal/fsx"
)

func (a *app) newApp() *cobra.Command {
	var pattern string
	cmd := &cobra.Command{
		Use:   "new [FOLDER]",
		Short: "Write an app to begin with",
		Long: `Writes an app with its tests and what deploys it from GitHub or GitLab into a new folder.
Its README says how it is deployed. Without --pattern, lists the apps. Nothing that exists is
overwritten.`,
		Example: "  selvage new                        what there is\n  selvage new --pattern 2 papers     the second pattern, into papers/",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, errors.New("want at most one folder"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if pattern == "" {
				if len(args) > 0 {
					return usage(cmd, errors.New("--pattern says which app; \"selvage new\" lists them"))
				}
				return a.listApps()
			}
			apps := examples.Apps()
			i := slices.IndexFunc(apps, func(e examples.App) bool { return e.Name == pattern })
			if i < 0 {
				return usage(cmd, fmt.Errorf("there is no pattern %q; \"selvage new\" lists them", pattern))
			}
			dir := apps[i].Folder
			if len(args) > 0 {
				dir = args[0]
			}
			return a.writeApp(&apps[i], dir)
		},
	}
	cmd.Flags().StringVar(&pattern, "pattern", "", "which app")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("pattern", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // fails only for a flag that is not there
		var names []string
		for _, e := range examples.Apps() {
			names = append(names, e.Name+"\t"+e.Shows)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (a *app) listApps() error {
	if a.json {
		type listed struct {
			Pattern string   `json:"pattern"`
			Shows   string   `json:"shows"`
			Asks    []string `json:"tests_ask_for"`
		}
		var list []listed
		for _, e := range examples.Apps() {
			list = append(list, listed{e.Name, e.Shows, e.Asks})
		}
		return a.printJSON(list)
	}
	for _, e := range examples.Apps() {
		a.printf("%-12s %s\n", e.Name, e.Shows)
	}
	return nil
}

// writeApp writes an app into a folder that is empty or not there.
func (a *app) writeApp(e *examples.App, dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty; choose another folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := filesOf(e)
	if err != nil {
		return err
	}
	for _, f := range files {
		to := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := fsx.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := fsx.WriteFile(to, f.text, 0o644); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"pattern": e.Name, "folder": dir, "files": len(files)})
	}
	a.printf("wrote %s: %s\n%s says how it is deployed\n", printable(dir), e.Shows, printable(filepath.Join(dir, "README.md")))
	return nil
}

// appFile is a file of an app, its name with slashes.
type appFile struct {
	name string
	text []byte
}

// filesOf returns what a folder of its own has. In the repository the apps share
// ask.mjs, and beside each other they need no way to be deployed by a push.
func filesOf(e *examples.App) ([]appFile, error) {
	var files []appFile
	err := fs.WalkDir(examples.Files, e.Folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "node_modules" || d.Name() == ".wrangler" { // of whoever tried it before building
				return fs.SkipDir
			}
			return nil
		}
		text, err := examples.Files.ReadFile(name)
		files = append(files, appFile{strings.TrimPrefix(name, e.Folder+"/"), bytes.ReplaceAll(text, []byte(`"../ask.mjs"`), []byte(`"./ask.mjs"`))})
		return err
	})
	if err != nil {
		return nil, err
	}
	var github strings.Builder
	for _, name := range e.Asks {
		fmt.Fprintf(&github, "      %s: ${{ secrets.%s }}\n", name, name)
	}
	for _, f := range []struct{ from, to, variables string }{
		{"ask.mjs", "ask.mjs", ""},
		{"ci/github.yml", ".github/workflows/deploy.yml", strings.TrimRight(github.String(), "\n")},
		{"ci/gitlab.yml", ".gitlab-ci.yml", strings.Join(e.Asks, ", ")},
	} {
		text, err := examples.Files.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		files = append(files, appFile{f.to, bytes.ReplaceAll(text, []byte("@@VARIABLES@@"), []byte(f.variables))})
	}
	return append(files, appFile{".gitignore", []byte("node_modules/\n.wrangler/\n")}), nil
}
