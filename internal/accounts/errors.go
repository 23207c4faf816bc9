package accounts

import "errors"

// Errors of this package; [InputError] is the other one.
var (
	// ErrUnauthenticated: the bearer is no live token.
	ErrUnauthenticated = errors.New("accounts: no valid token")
	// ErrTicket: the ticket is forged, expired, too long or for another action.
	ErrTicket = errors.New("accounts: no valid ticket")
	// ErrNotFound: there is no live token of that id.
	ErrNotFound = errors.New("accounts: no such token")
	// ErrNoOperatorToken: the operator's token file is gone or no longer valid.
	ErrNoOperatorToken = errors.New("accounts: no operator token")
)

// InputError is a value that the caller gave and that cannot be. Its text is
// meant for whoever gave it.
type InputError struct {
	Field   string
	Message string
}

// Error returns field and message.
func (e *InputError) Error() string { return e.Field + ": " + e.Message }
