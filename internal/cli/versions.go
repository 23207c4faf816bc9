package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) versions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "versions",
		Short: "List, show, upload and deploy versions of a worker",
		Example: `  selvage versions list
  selvage versions upload --message "try the new parser"
  selvage versions deploy 6b2232bd@90 88d8e075@10`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.versionsList(), a.versionsView(), a.versionsUpload(), a.versionsDeploy())
	return cmd
}

func (a *app) versionsList() *cobra.Command {
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the versions of a worker, newest first",
		Example: "  selvage versions list\n  selvage versions list --name links --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				list, err := c.Versions(ctx, worker)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(list)
				}
				shares, err := liveShares(ctx, c, worker)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "VERSION\tNUMBER\tCREATED\tSERVES\tTAG\tMESSAGE") //nolint:errcheck // Flush tells
				for _, v := range list {
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", v.ID, v.Number, day(&v.Metadata.CreatedOn), shares[v.ID], //nolint:errcheck // Flush tells
						printable(clip(v.Annotations[client.AnnotationTag])), printable(clip(v.Annotations[client.AnnotationMessage])))
				}
				return w.Flush()
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// liveShares says which versions serve, in words; none is no error.
func liveShares(ctx context.Context, c *client.Client, worker string) (map[string]string, error) {
	list, err := c.Deployments(ctx, worker)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	if len(list) > 0 {
		for _, v := range list[0].Versions {
			out[v.VersionID] = strconv.FormatFloat(v.Percentage, 'g', -1, 64) + " %"
		}
	}
	return out, nil
}

func (a *app) versionsView() *cobra.Command {
	f := &projectFlags{}
	cmd := &cobra.Command{
		Use:               "view VERSION",
		Short:             "Show what a version is made of",
		Long:              "Shows a version, by its id or the start of it. Values of secrets are not shown.",
		Example:           "  selvage versions view 6b2232bd",
		Args:              oneArg,
		ValidArgsFunction: a.completeVersions(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
				id, err := wholeID(ctx, c, worker, args[0])
				if err != nil {
					return err
				}
				v, err := c.Version(ctx, worker, id)
				if err != nil {
					return err
				}
				return a.showVersion(v)
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) showVersion(v client.Version) error {
	if a.json {
		return a.printJSON(v)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value)) //nolint:errcheck // Flush tells
		}
	}
	row("version", v.ID)
	row("number", strconv.FormatInt(v.Number, 10))
	row("created", day(&v.Metadata.CreatedOn)+" by "+v.Metadata.AuthorEmail+" ("+v.Metadata.Source+")")
	row("tag", v.Annotations[client.AnnotationTag])
	row("message", v.Annotations[client.AnnotationMessage])
	row("alias", v.Annotations[client.AnnotationAlias])
	row("handlers", strings.Join(v.Resources.Script.Handlers, ", "))
	row("compatibility date", v.Resources.ScriptRuntime.CompatibilityDate)
	row("compatibility flags", strings.Join(v.Resources.ScriptRuntime.CompatibilityFlags, ", "))
	if v.StartupTimeMS > 0 {
		row("starts in", strconv.FormatInt(v.StartupTimeMS, 10)+" ms")
	}
	for _, raw := range v.Resources.Bindings {
		var b struct {
			Name string `json:"name"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &b); err != nil {
			return fmt.Errorf("read a binding of the version: %w", err)
		}
		row("env."+b.Name, b.Type)
	}
	return w.Flush()
}

func (a *app) versionsUpload() *cobra.Command {
	f := &deployFlags{}
	cmd := &cobra.Command{
		Use:   "upload [ENTRY]",
		Short: "Build and upload a version without making it live",
		Long: `Builds as "selvage deploy" does and uploads a version of a worker that exists. It
answers at a hostname of its own, and with --preview-alias at a name you choose.`,
		Example: "  selvage versions upload --tag v2 --preview-alias next",
		Args:    atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.changed(cmd)
			p, err := a.plan(cmd, f, args)
			if err != nil {
				return err
			}
			if f.dryRun {
				return a.showDry(p)
			}
			return a.send(cmd.Context(), p, a.uploadVersion)
		},
	}
	f.addTo(a, cmd)
	cmd.Flags().StringVar(&f.preview, "preview-alias", "", "a name at which the version answers")
	return cmd
}

func (a *app) uploadVersion(ctx context.Context, c *client.Client, p *plan) error {
	w, err := c.Worker(ctx, p.name)
	if client.HasCode(err, client.CodeNotFound) {
		return fmt.Errorf("there is no worker %q yet; make it with \"selvage deploy\"", p.name)
	}
	if err != nil {
		return err
	}
	p.exists = true
	if err := a.prepare(ctx, c, p); err != nil {
		return err
	}
	pending, err := a.migrations(ctx, c, p)
	if err != nil {
		return err
	}
	if pending != nil {
		return fmt.Errorf("the migration %q is not applied yet, which only \"selvage deploy\" can do: it changes what all versions share", pending.NewTag)
	}
	v, err := c.CreateVersion(ctx, p.name, &p.upload)
	if err != nil {
		return p.startError(err)
	}
	out := p.outcome(v.ID, v.StartupTimeMS)
	if w.Subdomain.PreviewsEnabled && w.Subdomain.PreviewURLSuffix != "" {
		out.PreviewURL = previewURL(w.Subdomain, v.ID[:min(shortID, len(v.ID))])
		if p.flags.preview != "" {
			out.AliasURL = previewURL(w.Subdomain, p.flags.preview)
		}
	}
	if err := a.showBuilt(out); err != nil || a.json {
		return err
	}
	a.printf("uploaded a version of %s\n", p.name)
	for _, url := range []string{out.PreviewURL, out.AliasURL} {
		if url != "" {
			a.printf("  %s\n", url)
		}
	}
	a.printf("version %s\nmake it live with: selvage versions deploy %s --name %s\n", v.ID, v.ID, p.name)
	return nil
}

func (a *app) versionsDeploy() *cobra.Command {
	f := &projectFlags{}
	var message string
	var yes bool
	cmd := &cobra.Command{
		Use:   "deploy VERSION[@PERCENT]...",
		Short: "Make versions live, each with its share of the traffic",
		Long: `Makes one version live, or several with shares that sum to 100. Shares that are left
out are what the others leave, in equal parts. A version may be given by the start
of its id.`,
		Example: `  selvage versions deploy 6b2232bd
  selvage versions deploy 6b2232bd@90 88d8e075@10 --message "canary"`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeVersions(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := parseShares(args)
			if err != nil {
				return usage(cmd, err)
			}
			return a.withOldSecrets(cmd, f, yes, func(ctx context.Context, c *client.Client, worker string, force bool) error {
				for i := range wanted {
					if wanted[i].VersionID, err = wholeID(ctx, c, worker, wanted[i].VersionID); err != nil {
						return err
					}
				}
				d, err := c.DeployShares(ctx, worker, wanted, client.DeployOptions{Message: message, Force: force})
				if err != nil {
					return err
				}
				return a.showDeployment(worker, d)
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVarP(&message, "message", "m", "", "a note kept with the deployment")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

const (
	whole   = 100
	shortID = 8 // as much of an id as hostnames show
)

// parseShares reads VERSION@PERCENT arguments.
func parseShares(args []string) ([]client.DeploymentVersion, error) {
	if len(args) == 0 {
		return nil, errors.New("which version? \"selvage versions list\" shows them")
	}
	out := make([]client.DeploymentVersion, len(args))
	var open []int
	left := float64(whole)
	for i, text := range args {
		id, share, given := strings.Cut(text, "@")
		out[i].VersionID = id
		if !given {
			open = append(open, i)
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		if err != nil || !(n >= 0 && n <= whole) {
			return nil, fmt.Errorf("the share %q of %s is no number from 0 to 100", share, id)
		}
		out[i].Percentage = n
		left -= n
	}
	const rounding = 1e-9
	switch {
	case left < -rounding, len(open) == 0 && left > rounding:
		return nil, fmt.Errorf("the shares sum to %g; they must sum to 100", whole-left)
	case len(open) > 0 && left < rounding:
		return nil, errors.New("nothing is left for versions without a share; the others already have 100")
	}
	for _, i := range open {
		out[i].Percentage = left / float64(len(open))
	}
	return out, nil
}

// wholeID completes the start of a version's id.
func wholeID(ctx context.Context, c *client.Client, worker, start string) (string, error) {
	const length = 36 // of a UUID
	if len(start) == length {
		return start, nil
	}
	list, err := c.Versions(ctx, worker)
	if err != nil {
		return "", err
	}
	var found []string
	for _, v := range list {
		if start != "" && strings.HasPrefix(v.ID, start) {
			found = append(found, v.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s has no version %q; \"selvage versions list\" shows them", worker, start)
	case 1:
		return found[0], nil
	}
	slices.Sort(found)
	return "", fmt.Errorf("%d versions begin with %q; give more of the id: %s", len(found), start, strings.Join(found, ", "))
}

// completeVersions offers the ids of versions to a shell.
func (a *app) completeVersions(f *projectFlags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		cmd.SetContext(ctx)
		var ids []string
		err := a.forWorker(cmd, f, func(ctx context.Context, c *client.Client, worker string) error {
			list, err := c.Versions(ctx, worker)
			for _, v := range list {
				if strings.HasPrefix(v.ID, prefix) {
					ids = append(ids, v.ID)
				}
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
