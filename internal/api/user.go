package api

import (
	"slices"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
)

// stamp is a time on the wire. Its text has one width whatever the time: wrangler sorts versions by
// comparing these texts.
type stamp time.Time

// MarshalText writes RFC 3339 in UTC with six digits of fraction.
func (t stamp) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z"), nil
}

func optionalStamp(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	s := stamp(*t)
	return &s
}

type userJSON struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

func getUser(c *call) (any, error) {
	a := c.Accounts.Account()
	return userJSON{ID: a.UserID, Email: a.Email}, nil
}

type verifyJSON struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	ExpiresOn *stamp `json:"expires_on,omitempty"`
}

// verifyToken needs no more than that admit let the token in.
func verifyToken(c *call) (any, error) {
	return verifyJSON{ID: c.token.ID, Status: "active", ExpiresOn: optionalStamp(c.token.ExpiresAt)}, nil
}

type accountJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	CreatedOn stamp  `json:"created_on"`
}

func (c *call) accountJSON() accountJSON {
	a := c.Accounts.Account()
	return accountJSON{ID: a.ID, Name: a.Name, Type: "standard", CreatedOn: stamp(a.CreatedAt)}
}

func listAccounts(c *call) (any, error) { return page(c.query(), []accountJSON{c.accountJSON()}) }

func getAccount(c *call) (any, error) { return c.accountJSON(), nil }

type membershipJSON struct {
	ID      string      `json:"id"`
	Status  string      `json:"status"`
	Account accountJSON `json:"account"`
	Roles   []string    `json:"roles"`
}

// listMemberships shows the one membership there is: that of the token's owner in the account. Its
// role says whether the token may do everything.
func listMemberships(c *call) (any, error) {
	role := "Limited by the token's scopes"
	if slices.Contains(c.token.Scopes, accounts.ScopeAll) {
		role = "Super Administrator - All Privileges"
	}
	return page(c.query(), []membershipJSON{{
		ID: c.Accounts.Account().UserID, Status: "accepted", Account: c.accountJSON(), Roles: []string{role},
	}})
}
