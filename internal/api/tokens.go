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
	if err := c.covers(in.Scopes); err != nil {
		return nil, err
	}
	secret, t, err := c.Accounts.CreateToken(c.ctx(), in.Name, in.Scopes, in.ExpiresOn)
	if err != nil {
		return nil, err
	}
	j := newTokenJSON(t)
	j.Secret = secret
	return j, nil
}

// covers holds that nobody gets rights from the API that they do not have.
func (c *call) covers(scopes []accounts.Scope) error {
	if !c.token.Covers(scopes) {
		return errf(codeUnauthorized, "Unauthorized: the API token %q cannot give scopes that it does not have itself", c.token.Name)
	}
	return nil
}

// rollToken shows a new secret, which is as good as making the token: the caller must cover its
// scopes.
func rollToken(c *call) (any, error) {
	all, err := c.Accounts.ListTokens(c.ctx())
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.ID == c.params["token"] {
			if err := c.covers(t.Scopes); err != nil {
				return nil, err
			}
		}
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
	if err := c.Accounts.RevokeToken(c.ctx(), id); err != nil {
		return nil, err
	}
	return map[string]string{"id": id}, nil
}
