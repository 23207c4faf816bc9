package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/project"
)

// deployFlags are those of "deploy" and "versions upload".
type deployFlags struct {
	projectFlags

	vars, defines, aliases          []string
	date                            string
	flags                           []string
	message, tag, preview           string
	dryRun                          bool
	outdir                          string
	minify, noBundle, keepVars      bool
	assets, tsconfig, secretsFile   string
	jsxFactory, jsxFragment         string
	routes, domains, crons          []string
	sourceMaps, skipBuild, yes      bool
	minifySet, noBundleSet, mapsSet bool
}

func (f *deployFlags) addTo(a *app, cmd *cobra.Command) {
	f.add(a, cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.vars, "var", nil, "a text variable NAME:VALUE; may be given again")
	flags.StringArrayVar(&f.defines, "define", nil, "a replacement NAME:EXPRESSION in the code; may be given again")
	flags.StringArrayVar(&f.aliases, "alias", nil, "a module NAME:REPLACEMENT; may be given again")
	flags.StringVar(&f.date, "compatibility-date", "", "compatibility date, YYYY-MM-DD")
	flags.StringSliceVar(&f.flags, "compatibility-flags", nil, "compatibility flags, instead of the configuration's")
	flags.StringVar(&f.message, "message", "", "a note kept with the version")
	flags.StringVar(&f.tag, "tag", "", "a tag kept with the version")
	flags.BoolVar(&f.dryRun, "dry-run", false, "build and show, but upload nothing")
	flags.StringVar(&f.outdir, "outdir", "", "folder to write the built modules to")
	flags.BoolVar(&f.minify, "minify", false, "minify the code")
	flags.BoolVar(&f.noBundle, "no-bundle", false, "upload the entry point as it is")
	flags.BoolVar(&f.keepVars, "keep-vars", false, "keep variables that the configuration does not have")
	flags.StringVar(&f.assets, "assets", "", "folder of static assets")
	flags.StringVar(&f.secretsFile, "secrets-file", "", "secrets to set with the version: a JSON object, or lines NAME=value")
	flags.StringVar(&f.tsconfig, "tsconfig", "", "the tsconfig.json to use")
	flags.StringVar(&f.jsxFactory, "jsx-factory", "", "function that makes JSX elements")
	flags.StringVar(&f.jsxFragment, "jsx-fragment", "", "what stands for JSX fragments")
	flags.BoolVar(&f.sourceMaps, "upload-source-maps", true, "upload source maps too")
	flags.BoolVar(&f.skipBuild, "skip-build", false, "take the entry point as built, though the configuration has a build command")
	flags.BoolVar(&a.json, "json", false, "print JSON")
}

// changed notes which flags that override the configuration were given.
func (f *deployFlags) changed(cmd *cobra.Command) {
	f.minifySet, f.noBundleSet, f.mapsSet = cmd.Flags().Changed("minify"), cmd.Flags().Changed("no-bundle"), cmd.Flags().Changed("upload-source-maps")
}

func (a *app) deploy() *cobra.Command {
	f := &deployFlags{}
	cmd := &cobra.Command{
		Use:   "deploy [ENTRY]",
		Short: "Build a worker and deploy it, without Node.js",
		Long: `Reads wrangler.json, wrangler.jsonc or wrangler.toml, bundles the worker as
wrangler does, uploads it with its static assets and makes it live. It needs no
Node.js; packages that the code imports must be installed (node_modules).

The platform is the one on this machine (--data), or the one that the variables of
"selvage env" name.`,
		Example: `  selvage deploy
  selvage deploy --env staging --var GREETING:hello
  selvage deploy src/index.ts --name hello --compatibility-date 2026-11-01
  selvage deploy --dry-run --outdir dist`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.changed(cmd)
			p, err := a.plan(cmd, f, args)
			if err != nil {
				return err
			}
			if f.dryRun {
				return a.showDry(p)
			}
			return a.send(cmd.Context(), p, a.deployAll)
		},
	}
	f.addTo(a, cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.routes, "routes", nil, "route patterns, instead of the configuration's")
	flags.StringSliceVar(&f.domains, "domains", nil, "custom domains, besides the routes")
	flags.StringArrayVar(&f.crons, "triggers", nil, "a cron expression, instead of the configuration's; may be given again")
	flags.BoolVarP(&f.yes, "yes", "y", false, "ask nothing")
	return cmd
}

// send gives fn a client for an upload, which may take long.
func (a *app) send(ctx context.Context, p *plan, fn func(context.Context, *client.Client, *plan) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	if c, err = settleAccount(ctx, c); err != nil {
		return err
	}
	return plainError(fn(ctx, c, p), p.name)
}

// override puts what flags say over the configuration.
func (f *deployFlags) override(c *project.Config, cmd *cobra.Command) error {
	if f.date != "" {
		if err := project.CheckDate(f.date); err != nil {
			return usage(cmd, err)
		}
		c.CompatibilityDate = f.date
	}
	if len(f.flags) > 0 {
		c.CompatibilityFlags = f.flags
	}
	if f.name != "" {
		if err := project.CheckName(f.name); err != nil {
			return usage(cmd, err)
		}
		c.Name = f.name
	}
	if f.minifySet {
		c.Bundling.Minify = f.minify
	}
	if f.noBundleSet {
		c.Bundling.NoBundle = f.noBundle
	}
	if f.mapsSet {
		c.Bundling.UploadSourceMaps = &f.sourceMaps
	}
	c.KeepVars = c.KeepVars || f.keepVars
	for to, from := range map[*string]string{&c.Bundling.JSXFactory: f.jsxFactory, &c.Bundling.JSXFragment: f.jsxFragment} {
		if from != "" {
			*to = from
		}
	}
	var err error
	if c.Bundling.Define, err = pairs(cmd, "--define", c.Bundling.Define, f.defines); err != nil {
		return err
	}
	if c.Bundling.Alias, err = pairs(cmd, "--alias", c.Bundling.Alias, f.aliases); err != nil {
		return err
	}
	vars, err := pairs(cmd, "--var", nil, f.vars)
	if err != nil {
		return err
	}
	c.SetVars(vars)
	f.overrideTriggers(c)
	return nil
}

func (f *deployFlags) overrideTriggers(c *project.Config) {
	if len(f.routes) > 0 {
		c.Routes = nil
		for _, pattern := range f.routes {
			c.Routes = append(c.Routes, project.Route{Pattern: pattern})
		}
	}
	for _, host := range f.domains {
		c.Routes = append(c.Routes, project.Route{Pattern: host, Custom: true})
	}
	if len(f.crons) > 0 {
		c.Triggers.Crons = &f.crons
	}
}

// pairs adds NAME:VALUE arguments to a map.
func pairs(cmd *cobra.Command, flag string, to map[string]string, given []string) (map[string]string, error) {
	for _, text := range given {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" {
			return nil, usage(cmd, fmt.Errorf("%s %q is not of the form NAME:VALUE", flag, text))
		}
		if to == nil {
			to = map[string]string{}
		}
		to[name] = value
	}
	return to, nil
}

var errNoEntry = errors.New("there is nothing to deploy: name the entry point as the argument or as \"main\" in the configuration, or a folder of static assets with --assets or \"assets\"")
