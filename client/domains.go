package client

import (
	"context"
	"net/http"
	"time"
)

// PagesDomain is a host of one's own at which a site answers.
type PagesDomain struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Status is pending while a certificate is ordered, error when that failed, and active otherwise.
	Status     string           `json:"status"`
	Validation DomainValidation `json:"validation_data"`
	CreatedOn  time.Time        `json:"created_on"`
	ExpiresOn  *time.Time       `json:"certificate_expires_on,omitempty"`
	RetryOn    *time.Time       `json:"certificate_retry_on,omitempty"` // when the next order follows
}

// DomainValidation says where a domain stands with the certificate authority.
type DomainValidation struct {
	Status string `json:"status"`
	Method string `json:"method,omitempty"`
	Error  string `json:"error_message,omitempty"` // why the last order failed
}

// PagesDomains lists the custom domains of a project.
func (c *Client) PagesDomains(ctx context.Context, project string) ([]PagesDomain, error) {
	return result[[]PagesDomain](ctx, c, http.MethodGet, c.path("pages", "projects", project, "domains"), nil, nil)
}

// AddPagesDomain gives a project a custom domain. One that begins with "*." is for its branches and deployments.
func (c *Client) AddPagesDomain(ctx context.Context, project, name string) (PagesDomain, error) {
	return result[PagesDomain](ctx, c, http.MethodPost, c.path("pages", "projects", project, "domains"), nil, map[string]string{"name": name})
}

// RetryPagesDomain orders a certificate now if the last order failed.
func (c *Client) RetryPagesDomain(ctx context.Context, project, name string) (PagesDomain, error) {
	return result[PagesDomain](ctx, c, http.MethodPatch, c.path("pages", "projects", project, "domains", name), nil, nil)
}

// DeletePagesDomain takes a custom domain away.
func (c *Client) DeletePagesDomain(ctx context.Context, project, name string) error {
	_, err := result[any](ctx, c, http.MethodDelete, c.path("pages", "projects", project, "domains", name), nil, nil)
	return err
}
