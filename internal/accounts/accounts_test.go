package accounts_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir, accounts.Options{})
	a := s.Account()
	hex := regexp.MustCompile(`^[0-9a-f]{32}$`)
	if !hex.MatchString(a.ID) || !hex.MatchString(a.UserID) || a.ID == a.UserID ||
		a.Name != "selvage" || a.Subdomain != "local" || a.Email != "operator@selvage.localhost" || a.CreatedAt.IsZero() {
		t.Errorf("account %+v", a)
	}
	secret, err := s.OperatorToken()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^slv_[0-9A-Za-z]{40}$`).MatchString(secret) {
		t.Errorf("secret %q", secret)
	}
	info, err := os.Stat(filepath.Join(dir, "operator-token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("operator-token: %v %v", info, err)
	}
	stop()

	// Options of a later start change nothing.
	s, stop = start(t, dir, accounts.Options{Subdomain: "other", Name: "other"})
	defer stop()
	if got := s.Account(); got != a {
		t.Errorf("after a restart %+v, want %+v", got, a)
	}
	if again, err := s.OperatorToken(); err != nil || again != secret {
		t.Errorf("after a restart: token changed or %v", err)
	}
	token, err := s.Authenticate(t.Context(), secret)
	if err != nil || token.Name != "operator" || !token.Allows(accounts.ScopeWorkersWrite) {
		t.Errorf("operator: %+v %v", token, err)
	}
	wantNoSecretInFiles(t, dir, secret)
}

// TestFirstStartStops kills the first start at every step: the next one has an
// account and a valid operator token.
func TestFirstStartStops(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		var faults fsxtest.Faults
		st, err := store.OpenWith(dir, store.Options{FS: faults.FS()})
		if err != nil {
			t.Fatal(err)
		}
		faults.StopAt(n)
		s, err := accounts.New(t.Context(), st, accounts.Options{})
		if err == nil {
			s.Close()
		}
		st.Close()
		if !faults.Stopped() {
			if err != nil || n < 4 {
				t.Fatalf("step %d: %v", n, err)
			}
			return
		}
		s, stop := start(t, dir, accounts.Options{})
		if _, err := s.OperatorToken(); err != nil {
			t.Errorf("after a stop at step %d: %v", n, err)
		}
		stop()
	}
}

func TestSetSubdomain(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir, accounts.Options{})
	for _, name := range []string{"", "-a", "a-", "A", "a.b", "a_b", "ä", strings.Repeat("a", 64), "a\n"} {
		var input *accounts.InputError
		if err := s.SetSubdomain(t.Context(), name); !errors.As(err, &input) || input.Field != "subdomain" {
			t.Errorf("SetSubdomain(%q) = %v, want an InputError", name, err)
		}
	}
	for _, name := range []string{"a", "team-1", strings.Repeat("a", 63)} {
		if err := s.SetSubdomain(t.Context(), name); err != nil || s.Account().Subdomain != name {
			t.Errorf("SetSubdomain(%q) = %v, now %q", name, err, s.Account().Subdomain)
		}
	}
	want := s.Account()
	stop()
	s, stop = start(t, dir, accounts.Options{})
	defer stop()
	if s.Account() != want {
		t.Errorf("after a restart %+v, want %+v", s.Account(), want)
	}
}

func TestTokenLife(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	ctx := t.Context()
	secret, made, err := s.CreateToken(ctx, "ci", []accounts.Scope{"workers:write", "logs:read", "logs:read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Scopes) != 2 {
		t.Errorf("scopes %v, want two", made.Scopes)
	}
	for range 3 { // from the store, then from the cache
		got, err := s.Authenticate(ctx, secret)
		if err != nil || got.ID != made.ID || got.Name != "ci" || !got.CreatedAt.Equal(made.CreatedAt) {
			t.Errorf("Authenticate: %+v %v", got, err)
		}
	}
	list, err := s.ListTokens(ctx)
	if err != nil || len(list) != 2 || list[1].ID != made.ID || list[1].LastUsedAt == nil || list[0].LastUsedAt != nil {
		t.Errorf("ListTokens: %+v %v", list, err)
	}

	rolled, again, err := s.RollToken(ctx, made.ID)
	if err != nil || rolled == secret || again.ID != made.ID {
		t.Fatalf("RollToken: %+v %v", again, err)
	}
	wantRefused(t, s, secret)
	if _, err := s.Authenticate(ctx, rolled); err != nil {
		t.Errorf("rolled secret: %v", err)
	}
	if err := s.RevokeToken(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, s, rolled)
	if err := s.RevokeToken(ctx, made.ID); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("second revoke: %v", err)
	}
	if _, _, err := s.RollToken(ctx, made.ID); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("roll of a revoked token: %v", err)
	}
	if list, err := s.ListTokens(ctx); err != nil || len(list) != 1 {
		t.Errorf("after revoke: %v %v", list, err)
	}
}

func TestBadBearers(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	secret, err := s.OperatorToken()
	if err != nil {
		t.Fatal(err)
	}
	other := "slv_" + strings.Repeat("a", 40)
	for _, bearer := range []string{"", "slv_", other, secret + "x", secret[:43], " " + secret, "Bearer " + secret, strings.ToUpper(secret), strings.Repeat("x", 1<<20)} {
		wantRefused(t, s, bearer)
	}
}

func TestTokenExpires(t *testing.T) {
	clock := newClock()
	s, stop := start(t, t.TempDir(), accounts.Options{Now: clock.now})
	defer stop()
	past := clock.now()
	var input *accounts.InputError
	if _, _, err := s.CreateToken(t.Context(), "x", []accounts.Scope{"*"}, &past); !errors.As(err, &input) || input.Field != "expires" {
		t.Errorf("token that has expired already: %v", err)
	}
	expires := clock.now().Add(time.Hour)
	secret, made, err := s.CreateToken(t.Context(), "x", []accounts.Scope{"*"}, &expires)
	if err != nil || !made.ExpiresAt.Equal(expires) {
		t.Fatalf("%+v %v", made, err)
	}
	clock.add(time.Hour - time.Second)
	if _, err := s.Authenticate(t.Context(), secret); err != nil {
		t.Errorf("a second before: %v", err)
	}
	clock.add(time.Second)
	wantRefused(t, s, secret) // though it is in the cache
}

func TestCreateTokenInput(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	all := []accounts.Scope{"*"}
	for _, test := range []struct {
		name   string
		scopes []accounts.Scope
		field  string
	}{
		{"", all, "name"},
		{"operator", all, "name"},
		{"a\nb", all, "name"},
		{"\xff", all, "name"},
		{strings.Repeat("a", 121), all, "name"},
		{"x", nil, "scopes"},
		{"x", []accounts.Scope{"workers:admin"}, "scopes"},
	} {
		_, _, err := s.CreateToken(t.Context(), test.name, test.scopes, nil)
		var input *accounts.InputError
		if !errors.As(err, &input) || input.Field != test.field {
			t.Errorf("%q %v: %v, want an InputError of %s", test.name, test.scopes, err, test.field)
		}
		if test.field == "scopes" && !strings.Contains(err.Error(), "*, account:read, workers:read, workers:write, zones:write, kv:read, kv:write, d1:read, d1:write, pages:read, pages:write, vectorize:read, vectorize:write, ai:read, ai:write, containers:read, containers:write, tokens:read, tokens:write, logs:read, platform:read") {
			t.Errorf("the error does not list the scopes: %v", err)
		}
	}
}

func TestScopes(t *testing.T) {
	token := func(scopes ...accounts.Scope) accounts.Token { return accounts.Token{Scopes: scopes} }
	for _, test := range []struct {
		token accounts.Token
		need  accounts.Scope
		want  bool
	}{
		{token(), "account:read", false},
		{token("*"), "tokens:write", true},
		{token("*"), "*", true},
		{token("workers:write"), "workers:write", true},
		{token("workers:write"), "workers:read", true},
		{token("workers:read"), "workers:write", false},
		{token("workers:write"), "tokens:read", false},
		{token("workers:write"), "*", false},
		{token("workers:write"), "", false},
		{token("logs:read", "tokens:write"), "tokens:read", true},
	} {
		if got := test.token.Allows(test.need); got != test.want {
			t.Errorf("%v allows %q: %v", test.token.Scopes, test.need, got)
		}
	}
	if token("tokens:write").Covers([]accounts.Scope{"tokens:read", "*"}) || !token("*").Covers(accounts.Scopes()) {
		t.Error("Covers is wrong")
	}
}

// TestLastUsed: in the list at once, in the store after a minute or at Close.
func TestLastUsed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, dir, accounts.Options{})
		secret, err := s.OperatorToken()
		if err != nil {
			t.Fatal(err)
		}
		use := func() time.Time {
			if _, err := s.Authenticate(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			return time.UnixMilli(time.Now().UnixMilli())
		}
		wantUsed := func(want time.Time) {
			t.Helper()
			list, err := s.ListTokens(t.Context())
			if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || list[0].LastUsedAt.Sub(want).Abs() >= time.Millisecond {
				t.Errorf("list %+v (%v), want last used at %v", list, err, want)
			}
		}
		at := use()
		wantUsed(at)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		wantUsed(at)
		at = use()
		stop()
		s, stop = start(t, dir, accounts.Options{})
		wantUsed(at)
		stop()
	})
}

// TestRevokeWhileInUse hammers Authenticate while tokens are revoked: none is
// accepted after its revoke has returned, whatever lookup was on its way.
func TestRevokeWhileInUse(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	for range 20 {
		secret, token, err := s.CreateToken(t.Context(), "x", []accounts.Scope{"*"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					_, _ = s.Authenticate(t.Context(), secret)
				}
			})
		}
		if err := s.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, s, secret)
		wg.Wait()
		wantRefused(t, s, secret)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	s, stop := start(b, b.TempDir(), accounts.Options{})
	defer stop()
	secret, err := s.OperatorToken()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

func start(tb testing.TB, dir string, o accounts.Options) (s *accounts.Service, stop func()) {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	s, err = accounts.New(tb.Context(), st, o)
	if err != nil {
		tb.Fatal(errors.Join(err, st.Close()))
	}
	return s, func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			tb.Error(err)
		}
	}
}

func wantRefused(tb testing.TB, s *accounts.Service, bearer string) {
	tb.Helper()
	if token, err := s.Authenticate(tb.Context(), bearer); !errors.Is(err, accounts.ErrUnauthenticated) || token.ID != "" {
		tb.Errorf("Authenticate(%.60q) = %+v, %v; want ErrUnauthenticated", bearer, token, err)
	}
}

// wantNoSecretInFiles: the secret is in its own file alone.
func wantNoSecretInFiles(tb testing.TB, dir, secret string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || e.Name() == "operator-token" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		if bytes.Contains(data, []byte(secret)) {
			tb.Errorf("%s holds the secret", e.Name())
		}
	}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
