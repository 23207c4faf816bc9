package accounts

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// MaxTicket is the longest ticket that VerifyTicket looks at, in bytes.
const MaxTicket = 4 << 10

const (
	ticketPurpose = "ticket"
	// The text {"alg":"HS256","typ":"JWT"}. A ticket must begin with
	// exactly this: no other algorithm is ever looked at (RFC 8725, section 3.1).
	ticketHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

	claimAccount = "account"
	claimObject  = "object"
	claimAction  = "action"
	claimExpires = "exp" // seconds since 1970 (RFC 7519, section 4.1.4)
)

// Ticket is the right to do Action to Object of Account until Expires.
type Ticket struct {
	Account string
	Object  string
	Action  string
	Expires time.Time // to the second
	// Extra has further claims, beside those above in the payload. Their values
	// are JSON's; numbers come back as float64. Claims named as one of the
	// fields or "exp" are not carried.
	Extra map[string]any
}

// IssueTicket returns t as a signed JSON Web Token (RFC 7519, HS256). It panics
// if Extra holds what JSON cannot: that is the program's mistake. A ticket of
// more than [MaxTicket] bytes will not verify: keep Extra small.
func (s *Service) IssueTicket(t Ticket) string {
	claims := make(map[string]any, len(t.Extra)+4)
	maps.Copy(claims, t.Extra)
	claims[claimAccount] = t.Account
	claims[claimObject] = t.Object
	claims[claimAction] = t.Action
	claims[claimExpires] = t.Expires.Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("accounts: ticket for %s: extra claims: %v", t.Action, err))
	}
	signed := ticketHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + s.sign(signed)
}

// VerifyTicket returns the ticket in token if this service issued it, for
// action, and it has not expired; otherwise [ErrTicket]. The caller compares
// Account and Object with what the request is about.
func (s *Service) VerifyTicket(token, action string) (Ticket, error) {
	if len(token) > MaxTicket {
		return Ticket{}, ErrTicket
	}
	signed, signature, ok := cutLast(token, ".")
	if !ok {
		return Ticket{}, ErrTicket
	}
	// Compared as text: decoding would take several texts for one signature.
	if !hmac.Equal([]byte(signature), []byte(s.sign(signed))) {
		return Ticket{}, ErrTicket
	}
	// From here on it is our own text.
	header, payload, ok := strings.Cut(signed, ".")
	if !ok || header != ticketHeader {
		return Ticket{}, ErrTicket
	}
	t, err := decodeTicket(payload)
	if err != nil || t.Action != action || !s.now().Before(t.Expires) {
		return Ticket{}, ErrTicket
	}
	return t, nil
}

func (s *Service) sign(signed string) string {
	return base64.RawURLEncoding.EncodeToString(s.store.Keys.MAC(ticketPurpose, []byte(signed)))
}

func decodeTicket(payload string) (Ticket, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return Ticket{}, err
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		return Ticket{}, err
	}
	// From the map and not into a struct: its fields would match claims of any
	// case, Extra's among them.
	account, ok1 := claims[claimAccount].(string)
	object, ok2 := claims[claimObject].(string)
	action, ok3 := claims[claimAction].(string)
	expires, ok4 := claims[claimExpires].(float64) // exact for any date
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Ticket{}, ErrTicket
	}
	for _, claim := range []string{claimAccount, claimObject, claimAction, claimExpires} {
		delete(claims, claim)
	}
	if len(claims) == 0 {
		claims = nil
	}
	return Ticket{
		Account: account, Object: object, Action: action,
		Expires: time.Unix(int64(expires), 0), Extra: claims,
	}, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
