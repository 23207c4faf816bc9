package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
)

const (
	containersPath = accountPath + "/containers"
	registryPath   = containersPath + "/registries"
)

// maxCredentials is the longest that credentials of the registry are good for.
const maxCredentials = 7 * 24 * time.Hour

func registryRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: registryPath + "/{domain}/credentials", Scope: accounts.ScopeContainersRead, MaxBody: smallBody, Handler: registryCredentials},
		{Method: http.MethodGet, Pattern: registryPath, Scope: accounts.ScopeContainersRead, Handler: listRegistries},
		{Method: http.MethodPost, Pattern: registryPath, Scope: accounts.ScopeContainersWrite, MaxBody: smallBody, Handler: addRegistry},
	}
}

// registryCredentials gives out a user name and a password for docker login, good
// for minutes. The domain is whatever the client calls the registry by: there is one.
func registryCredentials(c *call) (any, error) {
	var in struct {
		Minutes     int      `json:"expiration_minutes"`
		Permissions []string `json:"permissions"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	life := time.Duration(in.Minutes) * time.Minute
	if in.Minutes < 1 || life > maxCredentials {
		return nil, errf(codeBadRequest, "expiration_minutes is a number from 1 to %d", int(maxCredentials.Minutes()))
	}
	if len(in.Permissions) == 0 {
		return nil, errf(codeBadRequest, `permissions names at least one of "pull" and "push"`)
	}
	for _, p := range in.Permissions {
		if p != permitPull && p != permitPush {
			return nil, errf(codeBadRequest, `permissions are "pull" and "push", not %.40q`, p)
		}
	}
	if slices.Contains(in.Permissions, permitPush) && !c.token.Allows(accounts.ScopeContainersWrite) {
		return nil, errf(codeUnauthorized, "Unauthorized: the API token %q has not the scope %s that a push needs", c.token.Name, accounts.ScopeContainersWrite)
	}
	expires := time.Now().Add(life)
	if !c.token.Outlives(&expires) {
		expires = *c.token.ExpiresAt
	}
	password := c.Accounts.IssueTicket(accounts.Ticket{
		Account: c.account(), Object: strings.Join(in.Permissions, ","), Action: ActionRegistry, Expires: expires,
	})
	return map[string]string{"account_id": c.account(), "registry_host": c.params["domain"], "username": "v1", "password": password}, nil
}

// listRegistries lists registries that were added: there are none.
func listRegistries(*call) (any, error) { return []any{}, nil }

func addRegistry(*call) (any, error) {
	return nil, notOffered("registries of others")
}
