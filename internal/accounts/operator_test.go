package accounts_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestOperatorTokenFileProblems(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir, accounts.Options{})
	defer stop()
	path := filepath.Join(dir, "operator-token")
	for name, spoil := range map[string]func() error{
		"gone":    func() error { return os.Remove(path) },
		"empty":   func() error { return os.Truncate(path, 0) },
		"unknown": func() error { return os.WriteFile(path, []byte("slv_"+strings.Repeat("a", 40)), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		_, err := s.OperatorToken()
		if !errors.Is(err, accounts.ErrNoOperatorToken) || !strings.Contains(err.Error(), "`selvage token roll operator --data "+dir+"`") {
			t.Errorf("%s: %v, want the command that helps", name, err)
		}
		secret, err := s.RollOperatorToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.OperatorToken(); err != nil || got != secret {
			t.Errorf("%s: after the roll: %v", name, err)
		}
	}
}

func TestRollOperatorToken(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir, accounts.Options{})
	defer stop()
	old, err := s.OperatorToken()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := s.Authenticate(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	// By its id, as the API does.
	secret, operator, err := s.RollToken(t.Context(), operator.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, s, old)
	if file, err := s.OperatorToken(); err != nil || file != secret {
		t.Errorf("the file has another token (%v)", err)
	}

	// Several at once: one wins and its secret is the file's.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := s.RollOperatorToken(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := s.OperatorToken(); err != nil {
		t.Error(err)
	}
	list, err := s.ListTokens(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d operator tokens live (%v), want one", len(list), err)
	}
	if list[0].ID == operator.ID {
		t.Error("the token was not replaced")
	}

	if err := s.RevokeToken(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OperatorToken(); !errors.Is(err, accounts.ErrNoOperatorToken) {
		t.Errorf("after the revoke: %v", err)
	}
}

// TestRollOperatorStops kills a roll at every step: the file is valid after it.
func TestRollOperatorStops(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		var faults fsxtest.Faults
		st, err := store.OpenWith(dir, store.Options{FS: faults.FS()})
		if err != nil {
			t.Fatal(err)
		}
		s, err := accounts.New(t.Context(), st, accounts.Options{})
		if err != nil {
			t.Fatal(err)
		}
		faults.StopAt(n)
		_, err = s.RollOperatorToken(t.Context())
		s.Close()
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
		if _, err := s.RollOperatorToken(t.Context()); err != nil {
			t.Error(err)
		}
		if list, err := s.ListTokens(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("after a stop at step %d and a roll: %d tokens (%v)", n, len(list), err)
		}
		stop()
	}
}
