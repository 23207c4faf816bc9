package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/project"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// deployAll uploads a plan, makes it live, and sets what leads to it.
func (a *app) deployAll(ctx context.Context, c *client.Client, p *plan) error {
	if err := a.before(ctx, c, p); err != nil {
		return err
	}
	if err := a.prepare(ctx, c, p); err != nil {
		return err
	}
	var err error
	if p.upload.Migrations, err = a.migrations(ctx, c, p); err != nil {
		return err
	}
	d, err := c.Deploy(ctx, p.name, &p.upload)
	if err != nil {
		return p.startError(err)
	}
	out := p.outcome(d.VersionID, d.StartupTimeMS)
	out.Targets, out.failures = a.setTriggers(ctx, c, p, out)
	return a.showDeployed(out)
}

// before looks at what the deploy replaces.
func (a *app) before(ctx context.Context, c *client.Client, p *plan) error {
	live, err := c.Deployments(ctx, p.name)
	switch {
	case client.HasCode(err, client.CodeNotFound):
		return nil
	case err != nil:
		return err
	}
	p.exists = true
	if len(live) > 0 && len(live[0].Versions) > 1 && !p.flags.yes {
		question := fmt.Sprintf("%d versions of %s share its traffic. This deploy sends all of it to the new one. Go on?", len(live[0].Versions), p.name)
		if !a.interactive() {
			a.warn(strings.TrimSuffix(question, " Go on?"))
		} else if !a.confirm(question) {
			return errors.New("nothing was deployed")
		}
	}
	return nil
}

// interactive says whether there is a person to ask.
func (a *app) interactive() bool {
	w, ok := a.Stdin.(io.Writer) // a terminal is both
	return ok && telemetry.IsTerminal(w)
}

// prepare uploads assets and fills in what bindings point at.
func (a *app) prepare(ctx context.Context, c *client.Client, p *plan) error {
	if p.assets != nil {
		p.assets.Progress = func(done, total int) { a.note("static assets: %d of %d new files uploaded", done, total) }
		jwt, err := c.UploadAssets(ctx, p.name, p.assets)
		if err != nil {
			return err
		}
		p.upload.Assets = &client.UploadedAssets{JWT: jwt, Config: p.assetConfig()}
	}
	if p.built == nil {
		return nil
	}
	if p.exists && p.upload.Observability == nil {
		// What is no longer in the configuration is switched off, as with wrangler.
		p.upload.Observability = map[string]bool{"enabled": false}
	}
	if err := a.provision(ctx, c, p); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, b := range p.bindings {
		names[b.Name] = true
		p.upload.Bindings = append(p.upload.Bindings, b)
	}
	for _, s := range p.secrets {
		if names[s.Name] {
			return fmt.Errorf("%q is a secret in --secrets-file and a binding in the configuration; give one of them another name", s.Name)
		}
		names[s.Name] = true
		p.upload.Bindings = append(p.upload.Bindings, s)
	}
	for _, name := range p.config.Secrets.Required {
		if !names[name] {
			p.upload.Bindings = append(p.upload.Bindings, project.Binding{Name: name, Type: "inherit"})
		}
	}
	return nil
}

// provision gives bindings that name nothing what they had before, or else
// makes it.
func (a *app) provision(ctx context.Context, c *client.Client, p *plan) error {
	if !slices.ContainsFunc(p.bindings, func(b project.Binding) bool { return b.Missing != "" }) {
		return nil
	}
	had := map[string]string{}
	if p.exists {
		s, err := c.Settings(ctx, p.name)
		if err != nil {
			return err
		}
		for _, b := range s.Bindings {
			had[b.Name] = b.Type
		}
	}
	for i := range p.bindings {
		b := &p.bindings[i]
		switch {
		case b.Missing == "":
		case had[b.Name] == b.Type:
			*b = project.Binding{Name: b.Name, Type: "inherit", As: b.Type}
		default:
			if err := a.provisionOne(ctx, c, p.name, b); err != nil {
				return fmt.Errorf("make what the binding %s points at: %w", b.Name, plainError(err, p.name))
			}
		}
	}
	return nil
}

func (a *app) provisionOne(ctx context.Context, c *client.Client, worker string, b *project.Binding) error {
	name := worker + "-" + strings.ToLower(strings.ReplaceAll(b.Name, "_", "-"))
	var made bool
	var err error
	value := name
	switch b.Type {
	case "kv_namespace":
		value, made, err = c.ProvisionKV(ctx, name)
	case "d1":
		value, made, err = c.ProvisionD1(ctx, name)
	case "r2_bucket":
		made, err = c.ProvisionR2(ctx, name)
	default:
		return fmt.Errorf("a %s is not made by a deploy; name one in the configuration", b.Type)
	}
	if err != nil {
		return err
	}
	verb := "uses"
	if made {
		verb = "made"
	}
	a.note("%s: %s %s %q", b.Name, verb, b.Type, name)
	fields := maps.Clone(b.Fields)
	fields[b.Missing] = value
	b.Fields, b.Missing = fields, ""
	return nil
}

// migrations are the steps that the platform has not seen yet.
func (a *app) migrations(ctx context.Context, c *client.Client, p *plan) (*client.Migrations, error) {
	all := p.config.Migrations
	if len(all) == 0 {
		return nil, nil
	}
	var tag string
	if p.exists {
		s, err := c.Service(ctx, p.name)
		if err != nil {
			return nil, err
		}
		tag = s.MigrationTag
	}
	from := slices.IndexFunc(all, func(m project.Migration) bool { return m.Tag == tag })
	switch {
	case tag != "" && from < 0:
		a.warn(fmt.Sprintf("%s has the migration tag %q, which is not in the configuration: all its migrations are applied", p.name, tag))
	case from == len(all)-1:
		return nil, nil
	}
	out := &client.Migrations{OldTag: tag, NewTag: all[len(all)-1].Tag}
	for _, m := range all[from+1:] {
		out.Steps = append(out.Steps, m.Step)
	}
	return out, nil
}

// startError maps the stack of a script that does not start to the sources.
func (p *plan) startError(err error) error {
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.CodeInvalidScript || p.built == nil {
		return err
	}
	mapped := *e
	mapped.Message = bundle.Trace(e.Message, p.built.SourceMaps)
	return &mapped
}

// setTriggers sets all that leads to the worker and returns what does, and what failed.
func (a *app) setTriggers(ctx context.Context, c *client.Client, p *plan, out *deployed) (targets []string, failures []failure) {
	fail := func(what string, err error) {
		if err != nil {
			failures = append(failures, failure{what, plainError(err, p.name)})
		}
	}
	place, err := a.place(ctx, c, p)
	fail("Hostname", err)
	if err == nil && place.Enabled {
		out.URL = withScheme(place.URL)
		targets = append(targets, out.URL)
	}
	if err == nil && place.PreviewsEnabled && place.PreviewURLSuffix != "" {
		out.PreviewURL = previewURL(place, out.VersionID[:min(shortID, len(out.VersionID))])
	}
	for _, set := range []func(context.Context, *client.Client, *plan) (string, []string, error){
		a.setRoutes, a.setDomains, setCrons, setQueues, setWorkflows,
	} {
		what, reached, err := set(ctx, c, p)
		targets = append(targets, reached...)
		fail(what, err)
	}
	return targets, failures
}

// previewURL is where a version, or an alias, answers.
func previewURL(p client.Place, label string) string {
	scheme := "http"
	if s, _, ok := strings.Cut(p.URL, "://"); ok {
		scheme = s
	}
	return scheme + "://" + label + p.PreviewURLSuffix
}

// place makes the worker's own hostname answer, or not.
func (a *app) place(ctx context.Context, c *client.Client, p *plan) (client.Place, error) {
	w, err := c.Worker(ctx, p.name)
	if err != nil {
		return client.Place{}, err
	}
	want := len(p.config.Routes) == 0
	if p.config.WorkersDev != nil {
		want = *p.config.WorkersDev
	}
	previews := p.config.PreviewURLs
	if w.Subdomain.Enabled == want && (previews == nil || *previews == w.Subdomain.PreviewsEnabled) {
		return w.Subdomain, nil
	}
	now, err := c.SetPlace(ctx, p.name, want, previews)
	if err != nil {
		return client.Place{}, err
	}
	now.URL, now.PreviewURLSuffix = w.Subdomain.URL, w.Subdomain.PreviewURLSuffix
	return now, nil
}

func (a *app) setRoutes(ctx context.Context, c *client.Client, p *plan) (what string, targets []string, err error) {
	what = "Routes"
	var routes []client.Route
	for _, r := range p.config.Routes {
		if !r.Custom {
			routes = append(routes, client.Route{Pattern: r.Pattern, ZoneID: r.ZoneID, Zone: r.Zone})
			targets = append(targets, "route "+r.Pattern)
		}
	}
	if len(routes) == 0 {
		return what, nil, nil
	}
	if err := c.SetRoutes(ctx, p.name, routes); err != nil {
		return what, nil, err
	}
	return what, targets, nil
}

func (a *app) setDomains(ctx context.Context, c *client.Client, p *plan) (what string, targets []string, err error) {
	what = "Custom domains"
	var domains []client.Domain
	for _, r := range p.config.Routes {
		if r.Custom {
			domains = append(domains, client.Domain{Hostname: r.Pattern, ZoneID: r.ZoneID, Zone: r.Zone, Enabled: r.Enabled, Previews: r.Preview})
			targets = append(targets, "custom domain "+r.Pattern)
		}
	}
	if len(domains) == 0 {
		return what, nil, nil
	}
	plan, err := c.PlanDomains(ctx, p.name, domains)
	if err != nil {
		return what, nil, err
	}
	if err := a.mayTakeOver(ctx, c, p, plan); err != nil {
		return what, nil, err
	}
	if err := c.SetDomains(ctx, p.name, domains, true); err != nil {
		return what, nil, err
	}
	return what, targets, nil
}

// mayTakeOver asks before a domain moves away from another worker, if there is someone to ask.
func (a *app) mayTakeOver(ctx context.Context, c *client.Client, p *plan, plan client.DomainChanges) error {
	if p.flags.yes || !a.interactive() {
		return nil
	}
	var taken []string
	for _, d := range plan.Updated {
		if !d.Modified {
			continue
		}
		now, err := c.DomainRecord(ctx, d.ID)
		if err != nil {
			return err
		}
		if now.Service != p.name {
			taken = append(taken, fmt.Sprintf("%s (of %s)", now.Hostname, now.Service))
		}
	}
	for _, d := range plan.Conflicting {
		taken = append(taken, d.Hostname)
	}
	if len(taken) > 0 && !a.confirm(fmt.Sprintf("Custom domains are in use: %s. Point them at %s?", printable(strings.Join(taken, ", ")), p.name)) {
		return errors.New("left as they were")
	}
	return nil
}

func setCrons(ctx context.Context, c *client.Client, p *plan) (what string, targets []string, err error) {
	what = "Cron triggers"
	crons := p.config.Triggers.Crons
	if crons == nil {
		return what, nil, nil // what was set stays
	}
	if _, err := c.SetSchedules(ctx, p.name, *crons); err != nil {
		return what, nil, err
	}
	for _, cron := range *crons {
		targets = append(targets, "cron "+cron)
	}
	return what, targets, nil
}

func setQueues(ctx context.Context, c *client.Client, p *plan) (what string, targets []string, err error) {
	what = "Queue consumers"
	var failed []error
	for _, q := range p.config.Consumers {
		if err := c.SetConsumer(ctx, q.Queue, p.name, q.Settings()); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", q.Queue, plainError(err, p.name)))
			continue
		}
		targets = append(targets, "queue "+q.Queue)
	}
	return what, targets, errors.Join(failed...)
}

func setWorkflows(ctx context.Context, c *client.Client, p *plan) (what string, targets []string, err error) {
	what = "Workflows"
	var failed []error
	for _, w := range p.config.Workflows {
		if err := c.SetWorkflow(ctx, w.Name, p.name, w.Body); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.Name, plainError(err, p.name)))
			continue
		}
		targets = append(targets, "workflow "+w.Name)
	}
	return what, targets, errors.Join(failed...)
}
