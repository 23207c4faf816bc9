package accounts

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scope is a right that a token carries. A ":write" scope includes its ":read".
type Scope string

// The scopes.
const (
	ScopeAll          Scope = "*"
	ScopeAccountRead  Scope = "account:read"
	ScopeWorkersRead  Scope = "workers:read"
	ScopeWorkersWrite Scope = "workers:write"
	ScopeKVRead       Scope = "kv:read"
	ScopeKVWrite      Scope = "kv:write"
	ScopeD1Read       Scope = "d1:read"
	ScopeD1Write      Scope = "d1:write"
	ScopePagesRead    Scope = "pages:read"
	ScopePagesWrite   Scope = "pages:write"

	ScopeVectorizeRead  Scope = "vectorize:read"
	ScopeVectorizeWrite Scope = "vectorize:write"
	ScopeAIRead         Scope = "ai:read"
	ScopeAIWrite        Scope = "ai:write"

	ScopeContainersRead  Scope = "containers:read"
	ScopeContainersWrite Scope = "containers:write"

	ScopeZonesWrite   Scope = "zones:write"
	ScopeTokensRead   Scope = "tokens:read"
	ScopeTokensWrite  Scope = "tokens:write"
	ScopeLogsRead     Scope = "logs:read"
	ScopePlatformRead Scope = "platform:read"
)

// Scopes returns all scopes there are, in the order to show them.
func Scopes() []Scope {
	return []Scope{
		ScopeAll, ScopeAccountRead, ScopeWorkersRead, ScopeWorkersWrite, ScopeZonesWrite,
		ScopeKVRead, ScopeKVWrite, ScopeD1Read, ScopeD1Write, ScopePagesRead, ScopePagesWrite, ScopeVectorizeRead, ScopeVectorizeWrite, ScopeAIRead, ScopeAIWrite, ScopeContainersRead, ScopeContainersWrite, ScopeTokensRead, ScopeTokensWrite, ScopeLogsRead, ScopePlatformRead,
	}
}

// Includes says whether s grants need.
func (s Scope) Includes(need Scope) bool {
	if s == ScopeAll || s == need {
		return true
	}
	family, ok := strings.CutSuffix(string(s), ":write")
	return ok && string(need) == family+":read"
}

// Allows says whether the token carries need, directly or by a wider scope.
func (t Token) Allows(need Scope) bool {
	return slices.ContainsFunc(t.Scopes, func(s Scope) bool { return s.Includes(need) })
}

// Outlives says whether the token is still valid at the moment another one
// expires, nil for never. A token must not give out one that lives longer.
func (t Token) Outlives(expires *time.Time) bool {
	return t.ExpiresAt == nil || expires != nil && !expires.After(*t.ExpiresAt)
}

// Covers says whether the token carries every one of scopes. A token must not
// be able to make one that may more than itself.
func (t Token) Covers(scopes []Scope) bool {
	return !slices.ContainsFunc(scopes, func(s Scope) bool { return !t.Allows(s) })
}

// checkScopes returns scopes without repetition, or an error naming the first
// unknown one.
func checkScopes(scopes []Scope) ([]Scope, error) {
	known := Scopes()
	var out []Scope
	for _, s := range scopes {
		if !slices.Contains(known, s) {
			return nil, &InputError{Field: "scopes", Message: fmt.Sprintf("unknown scope %.64q; the scopes are %s", s, scopeList(known))}
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, &InputError{Field: "scopes", Message: "a token needs at least one scope; the scopes are " + scopeList(known)}
	}
	return out, nil
}

func scopeList(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
