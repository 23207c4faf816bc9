package accounts_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/accounts"
)

func TestTicket(t *testing.T) {
	clock := newClock()
	s, stop := start(t, t.TempDir(), accounts.Options{Now: clock.now})
	defer stop()
	want := accounts.Ticket{
		Account: "acc", Object: "session/1", Action: "assets:upload",
		Expires: time.Unix(clock.now().Unix(), 0).Add(time.Hour),
		Extra:   map[string]any{"jti": "x", "n": 1.5, "list": []any{"a", true, nil}, "Account": "another case"},
	}
	token := s.IssueTicket(want)
	got, err := s.VerifyTicket(token, "assets:upload")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// As wrangler reads it: the payload's exp, by itself.
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Exp != want.Expires.Unix() {
		t.Errorf("exp %d (%v)", claims.Exp, err)
	}

	if _, err := s.VerifyTicket(token, "tail"); !errors.Is(err, accounts.ErrTicket) {
		t.Errorf("for another action: %v", err)
	}
	clock.add(time.Hour - time.Second)
	if _, err := s.VerifyTicket(token, "assets:upload"); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	clock.add(time.Second)
	if _, err := s.VerifyTicket(token, "assets:upload"); !errors.Is(err, accounts.ErrTicket) {
		t.Errorf("at its end: %v", err)
	}
}

func TestTicketSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir, accounts.Options{})
	token := s.IssueTicket(accounts.Ticket{Action: "tail", Expires: time.Now().Add(time.Hour)})
	stop()
	s, stop = start(t, dir, accounts.Options{})
	if _, err := s.VerifyTicket(token, "tail"); err != nil {
		t.Error(err)
	}
	stop()
	s, stop = start(t, t.TempDir(), accounts.Options{})
	defer stop()
	if _, err := s.VerifyTicket(token, "tail"); !errors.Is(err, accounts.ErrTicket) {
		t.Errorf("another installation's ticket: %v", err)
	}
}

func TestForgedTickets(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	good := accounts.Ticket{Account: "acc", Object: "o", Action: "tail", Expires: time.Now().Add(time.Hour)}
	token := s.IssueTicket(good)
	parts := strings.Split(token, ".")
	encode := base64.RawURLEncoding.EncodeToString
	none := encode([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, forged := range map[string]string{
		"empty":          "",
		"dots":           "..",
		"no signature":   parts[0] + "." + parts[1] + ".",
		"alg none":       none + "." + parts[1] + ".",
		"other header":   none + "." + parts[1] + "." + parts[2],
		"other payload":  parts[0] + "." + encode([]byte(`{"account":"acc","object":"o","action":"tail","exp":9999999999}`)) + "." + parts[2],
		"cut":            token[:len(token)-1],
		"longer":         token + "A",
		"padding":        token + "=",
		"newline":        token[:len(token)-1] + "\n" + token[len(token)-1:],
		"fourth part":    token + "." + parts[2],
		"one part":       parts[0],
		"not signed bit": token[:len(token)-1] + sibling(token[len(token)-1]),
	} {
		if _, err := s.VerifyTicket(forged, "tail"); !errors.Is(err, accounts.ErrTicket) {
			t.Errorf("%s: %v, want ErrTicket", name, err)
		}
	}
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := s.VerifyTicket(string(changed), "tail"); !errors.Is(err, accounts.ErrTicket) {
			t.Errorf("byte %d changed: %v, want ErrTicket", i, err)
		}
	}
	good.Extra = map[string]any{"long": strings.Repeat("x", accounts.MaxTicket)}
	if _, err := s.VerifyTicket(s.IssueTicket(good), "tail"); !errors.Is(err, accounts.ErrTicket) {
		t.Errorf("too long: %v, want ErrTicket", err)
	}
}

// sibling returns the character that differs in the two last bits, which 32
// bytes leave unused in the 43rd character: a lax decoder takes either.
func sibling(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestTicketFieldsCannotBeOverridden(t *testing.T) {
	s, stop := start(t, t.TempDir(), accounts.Options{})
	defer stop()
	want := accounts.Ticket{Account: "acc", Object: "o", Action: "tail", Expires: time.Unix(time.Now().Unix()+60, 0)}
	issued := want
	issued.Extra = map[string]any{"account": "evil", "object": "evil", "action": "evil", "exp": 9999999999}
	got, err := s.VerifyTicket(s.IssueTicket(issued), "tail")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func FuzzVerifyTicket(f *testing.F) {
	s, stop := start(f, f.TempDir(), accounts.Options{})
	f.Cleanup(stop)
	token := s.IssueTicket(accounts.Ticket{Account: "acc", Object: "o", Action: "tail", Expires: time.Now().Add(24 * time.Hour)})
	parts := strings.Split(token, ".")
	f.Add(token, "tail")
	f.Add(token, "upload")
	f.Add(parts[0]+".."+parts[2], "tail")
	f.Add("..", "")
	f.Add(parts[0]+"."+parts[1]+".", "tail")
	f.Fuzz(func(t *testing.T, text, action string) {
		got, err := s.VerifyTicket(text, action)
		switch {
		case err == nil && (text != token || action != "tail"):
			t.Errorf("accepted %q for %q: %+v", text, action, got)
		case err != nil && !errors.Is(err, accounts.ErrTicket):
			t.Errorf("error %v", err)
		}
	})
}
