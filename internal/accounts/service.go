package accounts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/store"
)

// Defaults of [Options].
const (
	DefaultName      = "selvage"
	DefaultSubdomain = "local"
	DefaultEmail     = "operator@selvage.localhost"
)

// Account is the owner of everything deployed here.
type Account struct {
	ID        string // 32 hex
	Name      string
	Subdomain string // <worker>.<subdomain>.workers.<domain>
	Email     string
	UserID    string // 32 hex
	CreatedAt time.Time
}

// Options of a service; empty fields take the defaults. Name, Subdomain and
// Email count only at the first start, which creates the account.
type Options struct {
	Name      string
	Subdomain string
	Email     string
	Now       func() time.Time // the clock; time.Now by default
	Log       *slog.Logger     // background failures; nothing by default
}

func (o *Options) setDefaults() error {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Subdomain == "" {
		o.Subdomain = DefaultSubdomain
	}
	if o.Email == "" {
		o.Email = DefaultEmail
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return checkSubdomain(o.Subdomain)
}

// Service is safe for concurrent use.
type Service struct {
	store    *store.Store
	now      func() time.Time
	log      *slog.Logger
	account  atomic.Pointer[Account]
	cache    *tokenCache
	uses     *useRecorder
	changing sync.Mutex // held while the account or its operator token changes
}

// New returns the service on st, which stays the caller's and must be closed
// after the service. On the first start it creates the account and the operator
// token.
func New(ctx context.Context, st *store.Store, o Options) (*Service, error) {
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	s := &Service{store: st, now: o.Now, log: o.Log, cache: newTokenCache()}
	a, err := s.loadAccount(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		a, err = s.firstStart(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("accounts: load the account: %w", err)
	}
	s.account.Store(a)
	s.uses = startUseRecorder(s.writeUses)
	return s, nil
}

// Close writes when tokens were last used and ends the service's goroutine.
func (s *Service) Close() error {
	return s.uses.stop()
}

// Account returns the account.
func (s *Service) Account() Account { return *s.account.Load() }

// SetSubdomain changes the account's subdomain: a DNS label, 1 to 63 of a-z,
// 0-9 and "-".
func (s *Service) SetSubdomain(ctx context.Context, name string) error {
	if err := checkSubdomain(name); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE accounts SET subdomain = ? WHERE id = ?", name, s.Account().ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("accounts: set subdomain: %w", err)
	}
	changed := s.Account()
	changed.Subdomain = name
	s.account.Store(&changed)
	return nil
}

func (s *Service) loadAccount(ctx context.Context) (*Account, error) {
	var a Account
	var created int64
	err := s.store.DB.Read().QueryRowContext(ctx,
		"SELECT id, name, subdomain, email, user_id, created_at FROM accounts ORDER BY created_at LIMIT 1").
		Scan(&a.ID, &a.Name, &a.Subdomain, &a.Email, &a.UserID, &created)
	if err != nil {
		return nil, err
	}
	a.CreatedAt = time.UnixMilli(created)
	return &a, nil
}

// firstStart creates the account and its operator token. The file goes first:
// if a crash follows, the next start finds no account and does both again.
func (s *Service) firstStart(ctx context.Context, o Options) (*Account, error) {
	now := s.now()
	a := &Account{
		ID: newID(), Name: o.Name, Subdomain: o.Subdomain, Email: o.Email, UserID: newID(),
		CreatedAt: time.UnixMilli(now.UnixMilli()),
	}
	secret := newSecret()
	if err := s.writeOperatorFile(secret); err != nil {
		return nil, err
	}
	err := s.store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			"INSERT INTO accounts (id, name, subdomain, email, user_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
			a.ID, a.Name, a.Subdomain, a.Email, a.UserID, now.UnixMilli())
		if err != nil {
			return err
		}
		return insertToken(ctx, tx, a.ID, secret, operatorToken(now))
	})
	return a, err
}

func checkSubdomain(name string) error {
	if !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`).MatchString(name) {
		return &InputError{Field: "subdomain", Message: fmt.Sprintf(
			"%.80q is no DNS label: use 1 to 63 of a-z, 0-9 and \"-\", with no \"-\" at either end", name)}
	}
	return nil
}

// newID returns 32 random hex digits.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
