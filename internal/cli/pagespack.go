package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/internal/bundle/site"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// pagesPack is what a build of a push runs in its sandbox, for the platform to read what it writes. The platform calls
// it, see internal/builds; people have "pages deploy".
func (a *app) pagesPack() *cobra.Command {
	var o site.Options
	var base, output, to string
	var settings bool
	cmd := &cobra.Command{
		Use:    "pack",
		Short:  "Write the settings and the code of a site to a file",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := site.Settings(o)
			if err != nil {
				return err
			}
			if !settings {
				if s.Config == nil {
					o.Output = output
				}
				if s, err = site.Read(cmd.Context(), o); err != nil {
					return err
				}
				for _, w := range s.Warnings {
					a.warn(w)
				}
				if err := copyMounts(s); err != nil {
					return err
				}
			}
			p, err := s.Pack(base)
			if err != nil {
				return err
			}
			text, err := json.Marshal(p)
			if err != nil {
				return fmt.Errorf("write the site's code: %w", err)
			}
			return fsx.WriteFile(to, text, 0o644)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "folder of the project")
	flags.StringVar(&base, "base", "", "folder below which the site is")
	flags.StringVar(&o.Environment, "environment", "", "production or preview")
	flags.StringVar(&output, "output", "", "folder of the site, where no wrangler file names it")
	flags.StringVar(&o.CompatibilityDate, "compatibility-date", "", "where no wrangler file has one")
	flags.StringArrayVar(&o.CompatibilityFlags, "compatibility-flag", nil, "where no wrangler file has them")
	flags.BoolVar(&settings, "settings", false, "only read the wrangler file")
	flags.StringVar(&to, "to", "", "file to write")
	return cmd
}

// copyMounts puts folders that Functions import into that of the site, as wrangler does.
func copyMounts(s *site.Site) error {
	for at, dir := range s.Mounts {
		to := filepath.Join(s.Output, filepath.FromSlash(at))
		if err := os.RemoveAll(to); err != nil {
			return fmt.Errorf("make %s part of the site: %w", dir, err)
		}
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			return fmt.Errorf("make %s part of the site: %w", dir, err)
		}
	}
	return nil
}
