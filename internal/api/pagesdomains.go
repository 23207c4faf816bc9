package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/pages"
)

// PagesDomains gives sites hosts of the operator's own.
type PagesDomains interface {
	Domains(ctx context.Context, account, project string) ([]pages.Domain, error)
	Domain(ctx context.Context, account, project, hostname string) (pages.Domain, error)
	AddDomain(ctx context.Context, account, project, hostname string) (pages.Domain, error)
	// HostsOf lists a project's domains without asking the disk.
	HostsOf(project string) []string
	DeleteDomain(ctx context.Context, account, project, hostname string) error
}

// States of a host's certificate.
const (
	CertificateNone    = ""        // HTTPS is off, or certificates come from somewhere else
	CertificateReady   = "ready"   // there is one
	CertificatePending = "pending" // it is ordered
	CertificateFailed  = "failed"  // the last order failed; another one follows
)

// Certificates says where hosts stand with theirs.
type Certificates interface {
	Certificate(host string) Certificate
	// RetryCertificate orders one now if the last order failed.
	RetryCertificate(host string)
}

// Certificate is where a host stands.
type Certificate struct {
	State    string
	Error    string    // why the last order failed
	NotAfter time.Time // of the certificate
	Retry    time.Time // when the next order follows
}

const (
	pagesDomainsPath = pagesOnePath + "/domains"
	pagesDomainPath  = pagesDomainsPath + "/{domain}"
)

func pagesDomainRoutes() []route {
	return []route{
		{Method: http.MethodGet, Pattern: pagesDomainsPath, Scope: accounts.ScopePagesRead, Handler: listPagesDomains},
		{Method: http.MethodPost, Pattern: pagesDomainsPath, Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: addPagesDomain},
		{Method: http.MethodGet, Pattern: pagesDomainPath, Scope: accounts.ScopePagesRead, Handler: getPagesDomain},
		{Method: http.MethodPatch, Pattern: pagesDomainPath, Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: retryPagesDomain},
		{Method: http.MethodDelete, Pattern: pagesDomainPath, Scope: accounts.ScopePagesWrite, MaxBody: smallBody, Handler: deletePagesDomain},
	}
}

// pagesDomainJSON is a domain as the original's API has it. Verification is done when a domain is added: who may
// add one here is the operator.
type pagesDomainJSON struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Status       string         `json:"status"` // pending, active, error
	Validation   validationJSON `json:"validation_data"`
	Verification validationJSON `json:"verification_data"`
	CreatedOn    stamp          `json:"created_on"`
	ExpiresOn    *stamp         `json:"certificate_expires_on,omitempty"`
	RetryOn      *stamp         `json:"certificate_retry_on,omitempty"`
}

type validationJSON struct {
	Status string `json:"status"` // pending, active, error
	Method string `json:"method,omitempty"`
	Error  string `json:"error_message,omitempty"`
}

func (c *call) pagesDomain(d *pages.Domain) pagesDomainJSON {
	out := pagesDomainJSON{
		ID: d.ID, Name: d.Hostname, Status: "active", CreatedOn: stamp(d.CreatedAt),
		Validation: validationJSON{Status: "active", Method: "http"}, Verification: validationJSON{Status: "active"},
	}
	if c.Certificates == nil || strings.HasPrefix(d.Hostname, "*.") { // Those below it have one each.
		return out
	}
	cert := c.Certificates.Certificate(d.Hostname)
	switch cert.State {
	case CertificatePending:
		out.Status, out.Validation.Status = "pending", "pending"
	case CertificateFailed:
		out.Status, out.Validation.Status = "error", "error"
	}
	out.Validation.Error = cert.Error
	if !cert.NotAfter.IsZero() {
		at := stamp(cert.NotAfter)
		out.ExpiresOn = &at
	}
	if !cert.Retry.IsZero() {
		at := stamp(cert.Retry)
		out.RetryOn = &at
	}
	return out
}

func (c *call) domainName() string { return c.params["domain"] }

func listPagesDomains(c *call) (any, error) {
	all, err := c.Pages.Domains(c.ctx(), c.account(), c.project())
	if err != nil {
		return nil, err
	}
	out := make([]pagesDomainJSON, len(all))
	for i := range all {
		out[i] = c.pagesDomain(&all[i])
	}
	return paged{Items: out, Info: newResultInfo(1, max(len(out), 1), len(out), len(out))}, nil
}

func addPagesDomain(c *call) (any, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	d, err := c.Pages.AddDomain(c.ctx(), c.account(), c.project(), in.Name)
	if err != nil {
		return nil, err
	}
	return c.pagesDomain(&d), nil
}

func getPagesDomain(c *call) (any, error) {
	d, err := c.Pages.Domain(c.ctx(), c.account(), c.project(), c.domainName())
	if err != nil {
		return nil, err
	}
	return c.pagesDomain(&d), nil
}

func retryPagesDomain(c *call) (any, error) {
	d, err := c.Pages.Domain(c.ctx(), c.account(), c.project(), c.domainName())
	if err != nil {
		return nil, err
	}
	if c.Certificates != nil {
		c.Certificates.RetryCertificate(d.Hostname)
	}
	return c.pagesDomain(&d), nil
}

func deletePagesDomain(c *call) (any, error) {
	return nil, c.Pages.DeleteDomain(c.ctx(), c.account(), c.project(), c.domainName())
}
