package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// Per is a limit for each span; 0 is none.
type Per struct {
	Minute int64 `json:"minute,omitempty"`
	Day    int64 `json:"day,omitempty"`
	Month  int64 `json:"month,omitempty"`
}

func (p Per) of(s Span) int64 { return [...]int64{p.Minute, p.Day, p.Month}[s] }

// Limits bound what one subject may use. Zero fields bound nothing.
type Limits struct {
	InputBytes int64 `json:"input_bytes,omitempty"` // of one request
	Requests   Per   `json:"requests,omitzero"`
	Tokens     Per   `json:"tokens,omitzero"` // in and out together
	Neurons    Per   `json:"neurons,omitzero"`
	// WarnPercent is the part of a limit at which the platform's log warns; 80.
	WarnPercent int `json:"warn_percent,omitempty"`
}

const defaultWarn = 80

func (l *Limits) check() error {
	const most, hundred = 1 << 50, 100
	for _, n := range []int64{
		l.InputBytes, l.Requests.Minute, l.Requests.Day, l.Requests.Month, l.Tokens.Minute, l.Tokens.Day, l.Tokens.Month, l.Neurons.Minute, l.Neurons.Day, l.Neurons.Month,
	} {
		if n < 0 || n > most {
			return fault.New(fault.CodeBadInput, "a limit is %d; want a number from 1 to %d, or 0 for none", n, int64(most))
		}
	}
	if l.WarnPercent < 0 || l.WarnPercent > hundred {
		return fault.New(fault.CodeBadInput, "warn_percent is %d; want a number from 1 to 100", l.WarnPercent)
	}
	return nil
}

var subjectPattern = regexp.MustCompile(`^(account|(worker|token):(\*|[A-Za-z0-9_.-]{1,128}))$`)

// SetLimits sets the limits of a subject: account, worker:NAME or token:ID, or worker:*
// and token:* for each one that has none of its own. Nil removes them.
func (l *Ledger) SetLimits(ctx context.Context, account, subject string, limits *Limits) error {
	if !subjectPattern.MatchString(subject) {
		return fault.New(fault.CodeBadInput, "%.100q is nobody who can be limited; want account, worker:NAME, worker:*, token:ID or token:*", subject)
	}
	k := key{account, subject}
	if limits == nil {
		err := l.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM ai_limits WHERE account_id = ? AND subject = ?`, account, subject)
			return err
		})
		if err != nil {
			return fmt.Errorf("ledger: remove limits: %w", err)
		}
		l.mu.Lock()
		delete(l.limits, k)
		l.mu.Unlock()
		return nil
	}
	if err := limits.check(); err != nil {
		return err
	}
	text, err := json.Marshal(limits)
	if err != nil {
		return err
	}
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ai_limits (account_id, subject, limits) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET limits = excluded.limits`, account, subject, string(text))
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: set limits: %w", err)
	}
	l.mu.Lock()
	l.limits[k] = *limits
	l.mu.Unlock()
	return nil
}

// Limited is a subject with its limits, and what it has used.
type Limited struct {
	Subject string
	Limits  Limits
	Used    [spans]Amount // by [Span]
}

// Limits lists all that are set, and the account, by subject.
func (l *Ledger) Limits(account string) []Limited {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	var out []Limited
	for k, limits := range l.limits {
		if k.account == account {
			out = append(out, Limited{Subject: k.subject, Limits: limits})
		}
	}
	if _, ok := l.limits[key{account, AccountSubject}]; !ok {
		out = append(out, Limited{Subject: AccountSubject})
	}
	for i := range out {
		s := l.scopes[key{account, out[i].Subject}]
		if s == nil {
			continue
		}
		s.roll(at)
		for span := range s.windows {
			out[i].Used[span] = s.windows[span].used
		}
	}
	slices.SortFunc(out, func(a, b Limited) int { return strings.Compare(a.Subject, b.Subject) })
	return out
}

// limitsOf returns the limits that count for a subject: its own, or those for each.
func (l *Ledger) limitsOf(k key) Limits {
	if limits, ok := l.limits[k]; ok {
		return limits
	}
	kind, _, _ := strings.Cut(k.subject, ":")
	return l.limits[key{k.account, kind + ":*"}]
}
