package accounts

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	operatorName = "operator"       // the token's name
	operatorFile = "operator-token" // in the data directory
)

func operatorToken(now time.Time) Token {
	return Token{ID: newID(), Name: operatorName, Scopes: []Scope{ScopeAll}, CreatedAt: time.UnixMilli(now.UnixMilli())}
}

// OperatorToken returns the operator's secret from its file. When the file is
// gone or its secret is no longer valid, the error is [ErrNoOperatorToken] with
// the command that makes a new one.
func (s *Service) OperatorToken() (string, error) {
	path := s.operatorPath()
	secret, err := readOperatorFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", s.noOperatorToken("is gone")
	}
	if err != nil {
		return "", fmt.Errorf("accounts: operator token: %w", err)
	}
	if !wellFormed(secret) {
		return "", s.noOperatorToken("holds no token")
	}
	_, err = s.findByHash(context.Background(), sha256.Sum256([]byte(secret)))
	if errors.Is(err, ErrUnauthenticated) {
		return "", s.noOperatorToken("holds a token that is no longer valid")
	}
	return secret, err
}

// RollOperatorToken makes a new operator token, writes its file and ends the
// old one. It needs nothing but the data directory.
func (s *Service) RollOperatorToken(ctx context.Context) (secret string, err error) {
	secret, _, err = s.rollOperator(ctx)
	return secret, err
}

// rollOperator goes in three steps so that a kill between any two leaves a file
// that is valid: add the new token, write the file, end the others.
func (s *Service) rollOperator(ctx context.Context) (secret string, t Token, err error) {
	s.changing.Lock() // two rolls at once would each end the other's token
	defer s.changing.Unlock()
	now := s.now()
	secret, t = newSecret(), operatorToken(now)
	account := s.Account().ID
	err = s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		return insertToken(ctx, tx, account, secret, t)
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("accounts: roll the operator token: %w", err)
	}
	if err := s.writeOperatorFile(secret); err != nil {
		// The file may hold either secret now, so both tokens live on; the next
		// roll ends them.
		return "", Token{}, err
	}
	err = s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			"UPDATE tokens SET revoked_at = ? WHERE account_id = ? AND name = ? AND revoked_at IS NULL AND id <> ?",
			now.UnixMilli(), account, operatorName, t.ID)
		return err
	})
	s.cache.clear()
	if err != nil {
		return "", Token{}, fmt.Errorf("accounts: end the old operator token: %w", err)
	}
	return secret, t, nil
}

func (s *Service) operatorPath() string { return filepath.Join(s.store.Dir, operatorFile) }

func (s *Service) writeOperatorFile(secret string) error {
	if err := s.store.FS.WriteFile(s.operatorPath(), []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("accounts: write the operator token: %w", err)
	}
	return nil
}

func (s *Service) removeOperatorFile() error {
	if err := s.store.FS.Remove(s.operatorPath()); err != nil {
		return fmt.Errorf("accounts: remove the operator token's file: %w", err)
	}
	return nil
}

func (s *Service) noOperatorToken(problem string) error {
	return fmt.Errorf("%w: %s %s: run `selvage token roll operator --data %s`", ErrNoOperatorToken, s.operatorPath(), problem, s.store.Dir)
}

func readOperatorFile(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // a fixed name in the data directory
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return strings.TrimSpace(string(text)), err
}
