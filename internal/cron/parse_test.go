package cron_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/cron"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNext(t *testing.T) {
	t.Parallel()
	const from = "2026-11-24 19:05" // a Tuesday
	for _, c := range []struct{ expr, want string }{
		{"* * * * *", "2026-11-24 19:06"},
		{"*/3 * * * *", "2026-11-24 19:06"},
		{"*/30 * * * *", "2026-11-24 19:30"},
		{"45 * * * *", "2026-11-24 19:45"},
		{"0 17 * * sun", "2026-11-29 17:00"},
		{"0 17 * * 1", "2026-11-29 17:00"}, // the platform's Sunday
		{"0 17 * * 7", "2026-11-28 17:00"},
		{"0 17 * * L", "2026-11-28 17:00"},
		{"10 7 * * mon-fri", "2026-11-25 07:10"},
		{"10 7 * * 2-6", "2026-11-25 07:10"},
		{"0 0 * * FRI-MON", "2026-11-27 00:00"},
		{"0 15 1 * *", "2026-12-01 15:00"},
		{"0 18 * * 6L", "2026-11-27 18:00"},
		{"0 18 * * friL", "2026-11-27 18:00"},
		{"0 18 * * MON#2", "2026-12-14 18:00"},
		{"0 18 * * 3#5", "2026-12-29 18:00"},
		{"59 23 LW * *", "2026-11-30 23:59"},
		{"59 23 LW 1 *", "2027-01-29 23:59"}, // the 31st is a Sunday
		{"0 0 L * *", "2026-11-30 00:00"},
		{"0 0 L 2 *", "2027-02-28 00:00"},
		{"0 0 L-3 * *", "2026-11-27 00:00"},
		{"0 0 L-1W 2 *", "2027-02-26 00:00"}, // the 27th is a Saturday
		{"0 0 1W 8 *", "2027-08-02 00:00"},   // the 1st is a Sunday
		{"0 0 1W 5 *", "2027-05-03 00:00"},   // the 1st is a Saturday: not back into April
		{"0 0 29 2 *", "2028-02-29 00:00"},
		{"0 0 13 * FRI", "2026-11-27 00:00"}, // either day
		{"50-10 * * * *", "2026-11-24 19:06"},
		{"0 22/1 * * *", "2026-11-24 22:00"},
		{"5-59/20 19 * * *", "2026-11-24 19:25"},
		{"0 0 1 JAN,jul *", "2027-01-01 00:00"},
		{"0\t0 1  1 *", "2027-01-01 00:00"},
		{"7 19 24 11 *", "2026-11-24 19:07"},
		{"5 19 24 11 *", "2027-11-24 19:05"},
	} {
		e, err := cron.Parse(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		got, ok := e.Next(at(t, from).Add(30 * time.Second))
		if want := at(t, c.want); !ok || !got.Equal(want) {
			t.Errorf("%s: next is %s, want %s", c.expr, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, field, want string }{
		{"99 * *", "", "it has 3 fields"},
		{"", "", "it has 0 fields"},
		{"* * * * * *", "", "it has 6 fields"},
		{"99 * * * *", "minute", `minute "99" is not a number from 0 to 59`},
		{"* 24 * * *", "hour", `hour "24" is not`},
		{"* * 0 * *", "day of month", `day of month "0" is not`},
		{"* * * 13 *", "month", `month "13" is not a number from 1 to 12 or a name from JAN to DEC`},
		{"* * * * 0", "day of week", "Sunday is 1"},
		{"* * * * 8", "day of week", `"8"`},
		{"*/0 * * * *", "minute", "a step that is not a number from 1 to 59"},
		{"*/60 * * * *", "minute", "a step"},
		{"*,5 * * * *", "minute", "* stands alone"},
		{"1-  * * * *", "minute", `minute "" is not`},
		{"-1 * * * *", "minute", `""`},
		{"+1 * * * *", "minute", `"+1"`},
		{"* * L,1 * *", "day of month", "stands alone"},
		{"* * L-0 * *", "day of month", "L-n"},
		{"* * W * *", "day of month", "stands alone"},
		{"* * 1-5W * *", "day of month", "stands alone"},
		{"* * * * 2#6", "day of week", "from 1 to 5"},
		{"* * * * 8#1", "day of week", `"8"`},
		{"* * * * 1L,2", "day of week", `"1L"`},
		{"* * ? * *", "day of month", `"?"`},
		{"* * 31 11 *", "", "no such day ever comes"},
		{"* * L-29 2 *", "", "no such day"},
		{"@daily", "", "fields"},
		{strings.Repeat("1,", 400) + "1 * * * *", "", "longer than"},
	} {
		_, err := cron.Parse(c.expr)
		var syntax *cron.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: error %v is no SyntaxError", c.expr, err)
			continue
		}
		if syntax.Field != c.field || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (field %q), want %q in it and field %q", c.expr, err, syntax.Field, c.want, c.field)
		}
	}
}

// randomExpr writes expressions of which most are valid.
func randomExpr(r *rand.Rand) string {
	value := func(lo, hi int) string { return fmt.Sprint(lo + r.IntN(hi-lo+1)) }
	plain := func(lo, hi int) string {
		switch r.IntN(6) {
		case 0:
			return value(lo, hi)
		case 1:
			return value(lo, hi) + "-" + value(lo, hi)
		case 2:
			return "*/" + value(1, hi-lo)
		case 3:
			return value(lo, hi) + "-" + value(lo, hi) + "/" + value(1, hi-lo)
		case 4:
			return value(lo, hi) + "," + value(lo, hi) + "/" + value(1, hi-lo)
		}
		return "*"
	}
	dom, dow := plain(1, 31), plain(1, 7)
	switch r.IntN(8) {
	case 0:
		dom = "L"
	case 1:
		dom = "L-" + value(1, 12)
	case 2:
		dom = "LW"
	case 3:
		dom = "L-" + value(1, 12) + "W"
	case 4:
		dom = value(1, 31) + "W"
	}
	switch r.IntN(6) {
	case 0:
		dow = value(1, 7) + "L"
	case 1:
		dow = value(1, 7) + "#" + value(1, 5)
	case 2:
		dow = "L"
	}
	return strings.Join([]string{plain(0, 59), plain(0, 23), dom, plain(1, 12), dow}, " ")
}

// TestNextAgainstEveryMinute holds that Next skips no minute that matches and
// stops at none that does not.
func TestNextAgainstEveryMinute(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	valid := 0
	for range 150 {
		text := randomExpr(r)
		e, err := cron.Parse(text)
		if err != nil {
			continue
		}
		valid++
		from := time.Date(2024+r.IntN(8), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
		next, ok := e.Next(from)
		if !ok || !next.After(from) || !model(text, next) {
			t.Fatalf("seed %d: %s: %s after %s does not match", seed, text, next, from)
		}
		for m := from.Truncate(time.Minute).Add(time.Minute); m.Before(next) && m.Before(from.AddDate(0, 3, 0)); m = m.Add(time.Minute) {
			if model(text, m) {
				t.Fatalf("seed %d: %s: Next(%s) = %s, but %s matches", seed, text, from, next, m)
			}
		}
	}
	if valid < 100 {
		t.Errorf("only %d expressions were valid", valid)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 L-3W 2 6L", "1-5/2,7 22-3 15W JAN-MAR 2#3", "99 * *", "* * LW * L", "\x00 * * * *"} {
		f.Add(s, int64(1795500000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		e, err := cron.Parse(text)
		if err != nil {
			var syntax *cron.SyntaxError
			if !errors.As(err, &syntax) || err.Error() == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		from := time.Unix(unix%4102444800, 0)
		next, ok := e.Next(from)
		if !ok || !next.After(from) || !e.Matches(next) || next.Sub(from) > 41*366*24*time.Hour {
			t.Fatalf("%q: Next(%s) = %s, %v", text, from, next, ok)
		}
	})
}
