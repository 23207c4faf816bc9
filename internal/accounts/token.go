package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	secretPrefix   = "slv_"
	secretRandom   = 40 // characters of base62: 238 bits
	secretAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	maxTokenName   = 120 // bytes
)

// Token is an API token without its secret.
type Token struct {
	ID         string // 32 hex
	Name       string
	Scopes     []Scope
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	LastUsedAt *time.Time // nil: not yet; kept to the minute
}

func (t Token) expired(now time.Time) bool {
	return t.ExpiresAt != nil && !now.Before(*t.ExpiresAt)
}

// Authenticate returns the token whose secret bearer is (without the word
// "Bearer"). The error is [ErrUnauthenticated] when there is none that lives;
// any other error means that the store could not be asked.
func (s *Service) Authenticate(ctx context.Context, bearer string) (Token, error) {
	if !wellFormed(bearer) {
		return Token{}, ErrUnauthenticated
	}
	hash := sha256.Sum256([]byte(bearer))
	t, generation, ok := s.cache.get(hash)
	if !ok {
		var err error
		if t, err = s.findByHash(ctx, hash); err != nil {
			return Token{}, err
		}
	}
	now := s.now()
	if t.expired(now) {
		return Token{}, ErrUnauthenticated
	}
	if !ok {
		s.cache.put(hash, t, generation)
	}
	s.uses.note(t.ID, now)
	return t, nil
}

func (s *Service) findByHash(ctx context.Context, hash [sha256.Size]byte) (Token, error) {
	row := s.store.DB.Read().QueryRowContext(ctx,
		selectTokens+" WHERE hash = ? AND account_id = ? AND revoked_at IS NULL", hash[:], s.Account().ID)
	t, kept, err := scanToken(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, ErrUnauthenticated
	}
	if err != nil {
		return Token{}, fmt.Errorf("accounts: look up token: %w", err)
	}
	// The index compared the hashes byte by byte; how far it came tells nothing
	// about the secret. This holds even if the lookup is ever loosened.
	if subtle.ConstantTimeCompare(kept, hash[:]) != 1 {
		return Token{}, ErrUnauthenticated
	}
	return t, nil
}

// CreateToken makes a token; expires may be nil. The secret is returned this
// once. Errors: [*InputError].
func (s *Service) CreateToken(ctx context.Context, name string, scopes []Scope, expires *time.Time) (secret string, t Token, err error) {
	if err := checkTokenName(name); err != nil {
		return "", Token{}, err
	}
	scopes, err = checkScopes(scopes)
	if err != nil {
		return "", Token{}, err
	}
	now := s.now()
	if expires != nil && !expires.After(now) {
		return "", Token{}, &InputError{Field: "expires", Message: "must be in the future"}
	}
	t = Token{ID: newID(), Name: name, Scopes: scopes, CreatedAt: time.UnixMilli(now.UnixMilli())}
	if expires != nil {
		at := time.UnixMilli(expires.UnixMilli())
		t.ExpiresAt = &at
	}
	secret = newSecret()
	err = s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		return insertToken(ctx, tx, s.Account().ID, secret, t)
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("accounts: create token: %w", err)
	}
	return secret, t, nil
}

// ListTokens returns the tokens that are not revoked, oldest first, expired
// ones included.
func (s *Service) ListTokens(ctx context.Context) (list []Token, err error) {
	rows, err := s.store.DB.Read().QueryContext(ctx,
		selectTokens+" WHERE account_id = ? AND revoked_at IS NULL ORDER BY created_at, id", s.Account().ID)
	if err != nil {
		return nil, fmt.Errorf("accounts: list tokens: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		t, _, err := scanToken(rows)
		if err != nil {
			return nil, fmt.Errorf("accounts: list tokens: %w", err)
		}
		if at, ok := s.uses.last(t.ID); ok {
			t.LastUsedAt = &at
		}
		list = append(list, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("accounts: list tokens: %w", err)
	}
	return list, nil
}

// RollToken gives a token a new secret; the old one is refused when it returns.
// Rolling the operator's token also writes its file. Errors: [ErrNotFound].
func (s *Service) RollToken(ctx context.Context, id string) (secret string, t Token, err error) {
	t, err = s.findByID(ctx, id)
	if err != nil {
		return "", Token{}, err
	}
	if t.Name == operatorName {
		return s.rollOperator(ctx)
	}
	secret = newSecret()
	hash := sha256.Sum256([]byte(secret))
	if err := s.updateLive(ctx, "UPDATE tokens SET hash = ? WHERE id = ? AND revoked_at IS NULL", hash[:], id); err != nil {
		return "", Token{}, fmt.Errorf("accounts: roll token: %w", err)
	}
	return secret, t, nil
}

// RevokeToken ends a token for good; it is refused when it returns. Revoking
// the operator's token also removes its file. Errors: [ErrNotFound].
func (s *Service) RevokeToken(ctx context.Context, id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	t, err := s.findByID(ctx, id)
	if err != nil {
		return err
	}
	if err := s.updateLive(ctx, "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", s.now().UnixMilli(), id); err != nil {
		return fmt.Errorf("accounts: revoke token: %w", err)
	}
	if t.Name == operatorName {
		return s.removeOperatorFile()
	}
	return nil
}

// updateLive changes one token that is not revoked and forgets what is cached,
// so that the change counts from here on.
func (s *Service) updateLive(ctx context.Context, query string, args ...any) error {
	err := s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
	// After an error too: a commit that failed late may still have happened.
	s.cache.clear()
	return err
}

// selectTokens is what scanToken reads.
const selectTokens = "SELECT id, name, scopes, created_at, expires_at, last_used_at, hash FROM tokens" //nolint:gosec // a query, no credentials

func (s *Service) findByID(ctx context.Context, id string) (Token, error) {
	t, _, err := scanToken(s.store.DB.Read().QueryRowContext(ctx,
		selectTokens+" WHERE id = ? AND account_id = ? AND revoked_at IS NULL", id, s.Account().ID))
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, ErrNotFound
	}
	if err != nil {
		return Token{}, fmt.Errorf("accounts: look up token: %w", err)
	}
	return t, nil
}

func scanToken(row interface{ Scan(dest ...any) error }) (t Token, hash []byte, err error) {
	var scopes string
	var created int64
	var expires, used sql.NullInt64
	if err := row.Scan(&t.ID, &t.Name, &scopes, &created, &expires, &used, &hash); err != nil {
		return Token{}, nil, err
	}
	if err := json.Unmarshal([]byte(scopes), &t.Scopes); err != nil {
		return Token{}, nil, fmt.Errorf("scopes of token %s: %w", t.ID, err)
	}
	t.CreatedAt = time.UnixMilli(created)
	t.ExpiresAt = optionalTime(expires)
	t.LastUsedAt = optionalTime(used)
	return t, hash, nil
}

func insertToken(ctx context.Context, tx *sql.Tx, account, secret string, t Token) error {
	scopes, err := json.Marshal(t.Scopes)
	if err != nil {
		return err
	}
	var expires sql.NullInt64
	if t.ExpiresAt != nil {
		expires = sql.NullInt64{Int64: t.ExpiresAt.UnixMilli(), Valid: true}
	}
	hash := sha256.Sum256([]byte(secret))
	_, err = tx.ExecContext(ctx,
		"INSERT INTO tokens (id, account_id, name, hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		t.ID, account, t.Name, hash[:], string(scopes), t.CreatedAt.UnixMilli(), expires)
	return err
}

func optionalTime(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.Int64)
	return &t
}

func checkTokenName(name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
	switch {
	case name == "" || len(name) > maxTokenName || strings.ContainsFunc(name, bad):
		return &InputError{Field: "name", Message: fmt.Sprintf("must be 1 to %d bytes of text without control characters", maxTokenName)}
	case name == operatorName:
		return &InputError{Field: "name", Message: fmt.Sprintf("%q is the platform's own; choose another", operatorName)}
	default:
		return nil
	}
}

// newSecret draws evenly from the alphabet: bytes beyond its largest multiple
// are thrown away.
func newSecret() string {
	const even = 256 - 256%len(secretAlphabet)
	out := make([]byte, 0, len(secretPrefix)+secretRandom)
	out = append(out, secretPrefix...)
	var b [64]byte
	for {
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		for _, c := range b {
			if int(c) >= even {
				continue
			}
			out = append(out, secretAlphabet[int(c)%len(secretAlphabet)])
			if len(out) == cap(out) {
				return string(out)
			}
		}
	}
}

// wellFormed holds for what newSecret makes; anything else costs no lookup.
func wellFormed(bearer string) bool {
	return len(bearer) == len(secretPrefix)+secretRandom && strings.HasPrefix(bearer, secretPrefix)
}
