package api

import (
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
)

type tokenJSON struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Scopes     []accounts.Scope `json:"scopes"`
	CreatedOn  stamp            `json:"created_on"`
	ExpiresOn  *stamp           `json:"expires_on"`
	LastUsedOn *stamp           `json:"last_used_on"`
	// Secret is shown once, when the token is made or rolled. Only its hash is kept.
	Secret string `json:"secret,omitempty"`
}

func newTokenJSON(t accounts.Token) tokenJSON {
	return tokenJSON{
		ID: t.ID, Name: t.Name, Scopes: list(t.Scopes), CreatedOn: stamp(t.CreatedAt),
		ExpiresOn: optionalStamp(t.ExpiresAt), LastUsedOn: optionalStamp(t.LastUsedAt),
	}
}

func listTokens(c *call) (any, error) {
	all, err := c.Accounts.ListTokens(c.ctx())
	if err != nil {
		return nil, err
	}
	out := make([]tokenJSON, len(all))
	for i := range all {
		out[i] = newTokenJSON(all[i])
	}
	return out, nil
}

func createToken(c *call) (any, error) {
	var in struct {
		Name      string           `json:"name"`
		Scopes    []accounts.Scope `json:"scopes"`
		ExpiresOn *time.Time       `json:"expires_on"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	// Nobody gets rights from the API that they do not have.
	if !c.token.Covers(in.Scopes) {
		return nil, errf(codeUnauthorized, "Unauthorized: the API token %q cannot give scopes that it does not have itself", c.token.Name)
	}
	if !c.token.Outlives(in.ExpiresOn) {
		return nil, c.outlived()
	}
	secret, t, err := c.Accounts.CreateToken(c.ctx(), in.Name, in.Scopes, in.ExpiresOn)
	if err != nil {
		return nil, err
	}
	j := newTokenJSON(t)
	j.Secret = secret
	return j, nil
}

// coversToken holds that nobody takes over, or takes away, a token that may more than their own. One
// that does not exist is for the service to say; scopes never change.
func (c *call) coversToken(id string) error {
	all, err := c.Accounts.ListTokens(c.ctx())
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID != id {
			continue
		}
		if !c.token.Covers(t.Scopes) {
			return errf(codeUnauthorized, "Unauthorized: the API token %q cannot change a token with scopes that it does not have itself", c.token.Name)
		}
		if !c.token.Outlives(t.ExpiresAt) {
			return c.outlived()
		}
	}
	return nil
}

// outlived refuses to give out what would be valid longer than the caller is.
func (c *call) outlived() error {
	return errf(codeUnauthorized, "Unauthorized: the API token %q expires at %s and cannot make or change one that lives longer", c.token.Name, c.token.ExpiresAt.UTC().Format(time.RFC3339))
}

func rollToken(c *call) (any, error) {
	if err := c.coversToken(c.params["token"]); err != nil {
		return nil, err
	}
	secret, t, err := c.Accounts.RollToken(c.ctx(), c.params["token"])
	if err != nil {
		return nil, err
	}
	j := newTokenJSON(t)
	j.Secret = secret
	return j, nil
}

func revokeToken(c *call) (any, error) {
	id := c.params["token"]
	if err := c.coversToken(id); err != nil {
		return nil, err
	}
	if err := c.Accounts.RevokeToken(c.ctx(), id); err != nil {
		return nil, err
	}
	return map[string]string{"id": id}, nil
}
