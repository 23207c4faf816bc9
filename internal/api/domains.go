package api

import (
	"strings"

	"github.com/selvage-dev/selvage/internal/workers"
)

type domainJSON struct {
	ID              string `json:"id,omitempty"`
	Hostname        string `json:"hostname"`
	Service         string `json:"service"`
	Environment     string `json:"environment"`
	ZoneID          string `json:"zone_id"`
	ZoneName        string `json:"zone_name"`
	Enabled         bool   `json:"enabled"`
	PreviewsEnabled bool   `json:"previews_enabled"`
	// Of the certificate, where this platform orders some; the names are those of a site's domain.
	Status    string `json:"status,omitempty"` // pending, active, error
	Error     string `json:"error_message,omitempty"`
	ExpiresOn *stamp `json:"certificate_expires_on,omitempty"`
	RetryOn   *stamp `json:"certificate_retry_on,omitempty"`
}

func (c *call) newDomain(d *workers.CustomDomain) domainJSON {
	out := domainJSON{
		ID: d.ID, Hostname: d.Hostname, Service: d.Script, Environment: environment,
		ZoneID: d.ZoneID, ZoneName: d.ZoneName, Enabled: d.Enabled,
	}
	if c.Certificates == nil || !d.Enabled {
		return out
	}
	cert := c.Certificates.Certificate(d.Hostname)
	switch cert.State {
	case CertificateNone:
		return out
	case CertificateReady:
		out.Status = "active"
	case CertificatePending:
		out.Status = "pending"
	case CertificateFailed:
		out.Status = "error"
	}
	out.Error, out.ExpiresOn, out.RetryOn = cert.Error, stampOf(cert.NotAfter), stampOf(cert.Retry)
	return out
}

func (c *call) newDomains(all []workers.CustomDomain) []domainJSON {
	out := make([]domainJSON, len(all))
	for i := range all {
		out[i] = c.newDomain(&all[i])
	}
	return out
}

type domainRequestJSON struct {
	Hostname        string `json:"hostname"`
	ZoneID          string `json:"zone_id"`
	ZoneName        string `json:"zone_name"`
	Enabled         *bool  `json:"enabled"`
	PreviewsEnabled *bool  `json:"previews_enabled"`
}

func domainRequests(in []domainRequestJSON) []workers.DomainRequest {
	out := make([]workers.DomainRequest, len(in))
	for i, d := range in {
		out[i] = workers.DomainRequest{
			Hostname: d.Hostname, Zone: workers.ZoneRef{ID: d.ZoneID, Name: d.ZoneName}, Enabled: d.Enabled, Previews: d.PreviewsEnabled,
		}
	}
	return out
}

// changesetJSON says what putDomains would do. Conflicting are DNS records in the way, of which a
// platform that serves no DNS has none.
type changesetJSON struct {
	Added       []domainJSON       `json:"added"`
	Removed     []domainJSON       `json:"removed"`
	Updated     []domainUpdateJSON `json:"updated"`
	Conflicting []domainJSON       `json:"conflicting"`
}

type domainUpdateJSON struct {
	domainJSON

	Modified bool `json:"modified"`
}

func postDomainChanges(c *call) (any, error) {
	replace, err := boolParam(c.query(), "replace_state")
	if err != nil {
		return nil, err
	}
	var in []domainRequestJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	changes, err := c.Workers.DomainChanges(c.ctx(), c.account(), c.script(), domainRequests(in), replace)
	if err != nil {
		return nil, err
	}
	out := changesetJSON{
		Added: c.newDomains(changes.Added), Removed: c.newDomains(changes.Removed),
		Updated: make([]domainUpdateJSON, len(changes.Updated)), Conflicting: []domainJSON{},
	}
	for i := range changes.Updated {
		u := &changes.Updated[i]
		out.Updated[i] = domainUpdateJSON{domainJSON: c.newDomain(&u.CustomDomain), Modified: u.Modified}
	}
	return out, nil
}

// putDomains replaces the custom domains of a worker. The other two overrides of the request speak of
// DNS, which is not served here.
func putDomains(c *call) (any, error) {
	var in struct {
		Override bool                `json:"override_existing_origin"`
		Origins  []domainRequestJSON `json:"origins"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	all, err := c.Workers.PutDomains(c.ctx(), c.account(), c.script(), domainRequests(in.Origins),
		workers.DomainOptions{Replace: true, Override: in.Override})
	return c.newDomains(all), err
}

// attachDomain is the public API's way to make one custom domain, whoever has it.
func attachDomain(c *call) (any, error) {
	var in struct {
		domainRequestJSON

		Service     string `json:"service"`
		Environment string `json:"environment"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Environment != "" && in.Environment != environment {
		return nil, notOffered("the environment %q of a worker", in.Environment)
	}
	all, err := c.Workers.PutDomains(c.ctx(), c.account(), in.Service, domainRequests([]domainRequestJSON{in.domainRequestJSON}),
		workers.DomainOptions{Override: true})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strings.EqualFold(all[i].Hostname, strings.TrimSuffix(in.Hostname, ".")) {
			return c.newDomain(&all[i]), nil
		}
	}
	return nil, errf(codeNotFound, "the custom domain %q was deleted meanwhile", in.Hostname)
}

func listDomains(c *call) (any, error) {
	q := c.query()
	all, err := c.Workers.Domains(c.ctx(), c.account(), workers.DomainFilter{
		Script: q.Get("service"), Hostname: strings.ToLower(q.Get("hostname")), ZoneID: q.Get("zone_id"),
	})
	if err != nil {
		return nil, err
	}
	return page(q, c.newDomains(all))
}

func getDomain(c *call) (any, error) {
	d, err := c.Workers.Domain(c.ctx(), c.account(), c.params["domain"])
	if err != nil {
		return nil, err
	}
	return c.newDomain(&d), nil
}

func deleteDomain(c *call) (any, error) {
	return nil, c.Workers.DeleteDomain(c.ctx(), c.account(), c.params["domain"])
}
