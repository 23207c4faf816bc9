package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGER_TEST_CRASH"); dir != "" {
		crashChild(dir)
		return
	}
	os.Exit(m.Run())
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

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

type fixture struct {
	*ledger.Ledger

	clock *clock
	dir   string
	log   *strings.Builder
	close func()
}

func open(t *testing.T, dir string, c *clock) *fixture {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{clock: c, dir: dir, log: &strings.Builder{}}
	f.Ledger, err = ledger.Open(t.Context(), st.DB, c.now, slog.New(slog.NewTextHandler(f.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	f.close = func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
	return f
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := open(t, t.TempDir(), &clock{at: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)})
	t.Cleanup(func() { f.close() })
	return f
}

const model = "@mine/model"

func request(subject string, in, out int64) ledger.Request {
	return ledger.Request{Account: "a", Subject: subject, Model: model, Price: ledger.Price{In: 10_000, Out: 20_000}, InputBytes: 4 * in, In: in, Out: out}
}

// use begins and settles a request that uses all it may.
func (f *fixture) use(t *testing.T, subject string, in, out int64) error {
	t.Helper()
	j, err := f.Begin(request(subject, in, out))
	if err != nil {
		return err
	}
	if err := j.Settle(t.Context(), in, out, false); err != nil {
		t.Fatal(err)
	}
	return nil
}

func (f *fixture) set(t *testing.T, subject string, l ledger.Limits) { //nolint:gocritic // as it is read
	t.Helper()
	if err := f.SetLimits(t.Context(), "a", subject, &l); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a request is, and until when.
func refused(t *testing.T, err error, code int, text string, wait time.Duration) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, text) || e.RetryAfter != wait {
		t.Errorf("%v, want %d %q after %s", err, code, text, wait)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.set(t, "worker:*", ledger.Limits{Requests: ledger.Per{Minute: 2}, InputBytes: 400})
	f.set(t, "worker:rich", ledger.Limits{Tokens: ledger.Per{Day: 100}})
	f.set(t, "account", ledger.Limits{Neurons: ledger.Per{Month: 3}})
	for range 2 {
		if err := f.use(t, "worker:poor", 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, f.use(t, "worker:poor", 1, 0), fault.CodeLimited, "2 requests per minute that worker:poor may use", time.Minute)
	refused(t, f.use(t, "worker:poor", 101, 0), fault.CodeTooLarge, "worker:poor may send 400", 0)
	if err := f.use(t, "worker:other", 1, 0); err != nil {
		t.Errorf("another worker: %v", err)
	}
	f.clock.add(time.Minute)
	if err := f.use(t, "worker:poor", 1, 0); err != nil {
		t.Errorf("in the next minute: %v", err)
	}
	if err := f.use(t, "worker:rich", 50, 50); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	refused(t, f.use(t, "worker:rich", 1, 0), fault.CodeLimited, "100 tokens per day", 12*time.Hour-time.Minute)
	// 1.54 neurons are used: 4 and 50 tokens in, 50 out.
	if err := f.use(t, "token:t", 0, 73); err != nil {
		t.Errorf("within the account's budget: %v", err)
	}
	refused(t, f.use(t, "token:t", 1, 0), fault.CodeLimited, "3 neurons per month that account may use", 132*time.Hour-time.Minute+0)
}

// TestReserved has requests run at once: together they stay within the limit.
func TestReserved(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.set(t, "account", ledger.Limits{Tokens: ledger.Per{Day: 1000}})
	var jobs []*ledger.Job
	for {
		j, err := f.Begin(request("worker:w", 100, 100))
		if err != nil {
			refused(t, err, fault.CodeLimited, "1000 are used or in use", 12*time.Hour)
			break
		}
		jobs = append(jobs, j)
	}
	if len(jobs) != 5 {
		t.Fatalf("%d jobs of 200 tokens in a limit of 1000", len(jobs))
	}
	f.clock.add(2 * time.Second)
	for _, j := range jobs { // half of it turns out not to be needed
		j.Note(t.Context(), 50, 10)
		if err := j.Settle(t.Context(), 50, 50, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.use(t, "worker:w", 250, 250); err != nil {
		t.Errorf("what was left: %v", err)
	}
	refused(t, f.use(t, "worker:w", 1, 0), fault.CodeLimited, "1000 tokens per day", 12*time.Hour-2*time.Second)
	rows, err := f.Report(t.Context(), "a", f.clock.now(), f.clock.now())
	if err != nil || len(rows) != 1 || rows[0].Requests != 6 || rows[0].Failed != 5 || rows[0].In != 500 || rows[0].Out != 500 || rows[0].Neurons != 500*10_000+500*20_000 {
		t.Errorf("%+v %v", rows, err)
	}
}

func TestReopened(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.set(t, "worker:w", ledger.Limits{Tokens: ledger.Per{Day: 100, Month: 150}})
	if err := f.use(t, "worker:w", 100, 0); err != nil {
		t.Fatal(err)
	}
	f.close()
	again := open(t, f.dir, f.clock)
	f.close = again.close
	refused(t, again.use(t, "worker:w", 1, 0), fault.CodeLimited, "100 tokens per day", 12*time.Hour)
	if l := again.Limits("a"); len(l) != 2 || l[1].Subject != "worker:w" || l[1].Used[ledger.Day].In != 100 || l[0].Subject != "account" || l[0].Used[ledger.Month].In != 100 {
		t.Errorf("%+v", l)
	}
	again.clock.add(24 * time.Hour)
	if err := again.use(t, "worker:w", 50, 0); err != nil {
		t.Errorf("the next day: %v", err)
	}
	refused(t, again.use(t, "worker:w", 1, 0), fault.CodeLimited, "150 tokens per month", 108*time.Hour)
	if err := again.SetLimits(t.Context(), "a", "worker:w", nil); err != nil {
		t.Error(err)
	}
	if err := again.use(t, "worker:w", 1000, 0); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

func TestWarning(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.set(t, "worker:w", ledger.Limits{Tokens: ledger.Per{Day: 100}})
	for range 9 {
		if err := f.use(t, "worker:w", 10, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(f.log.String(), "a budget for models is nearly used up"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, f.log)
	}
}

func TestSetLimitsRefuses(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, subject := range []string{"", "worker", "worker:", "script:x", "worker:a b", "account:x"} {
		refused(t, f.SetLimits(t.Context(), "a", subject, &ledger.Limits{}), fault.CodeBadInput, "nobody who can be limited", 0)
	}
	refused(t, f.SetLimits(t.Context(), "a", "account", &ledger.Limits{InputBytes: -1}), fault.CodeBadInput, "a limit is -1", 0)
	refused(t, f.SetLimits(t.Context(), "a", "account", &ledger.Limits{WarnPercent: 101}), fault.CodeBadInput, "warn_percent", 0)
}

// crashChild settles requests of one token, and says so after each, until it is killed.
func crashChild(dir string) {
	st, err := store.Open(dir)
	if err != nil {
		panic(err)
	}
	l, err := ledger.Open(context.Background(), st.DB, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				j, err := l.Begin(request(fmt.Sprintf("worker:w%d", i), 1, 0))
				if err != nil {
					panic(err)
				}
				if err := j.Settle(context.Background(), 1, 0, false); err != nil {
					panic(err)
				}
				fmt.Printf("w%d .\n", i)
			}
		})
	}
	wg.Wait()
}

// TestKilledProcessCountsExactly kills a process that uses models, at random times. What
// it acknowledged is counted; beyond it at most the one request of each worker that was
// under way.
func TestKilledProcessCountsExactly(t *testing.T) {
	rounds := 5
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		rounds = 100
	}
	dir := t.TempDir()
	acknowledged := map[string]int64{}
	for round := range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "LEDGER_TEST_CRASH="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		for lines := bufio.NewScanner(out); lines.Scan(); {
			once.Do(func() {
				time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { _ = child.Process.Kill() })
			})
			if worker, whole := strings.CutSuffix(lines.Text(), " ."); whole {
				acknowledged["worker:"+worker]++
			}
		}
		_ = child.Wait()
		f := open(t, dir, &clock{at: time.Now()})
		rows, err := f.Report(t.Context(), "a", time.Now().AddDate(0, 0, -1), time.Now())
		f.close()
		if err != nil {
			t.Fatal(err)
		}
		counted := map[string]int64{}
		for _, r := range rows {
			if r.Requests != r.In {
				t.Errorf("a half: %+v", r)
			}
			counted[r.Subject] += r.Requests
		}
		for subject, n := range counted {
			if n < acknowledged[subject] || n > acknowledged[subject]+1 {
				t.Fatalf("round %d: %s: %d counted, %d acknowledged", round, subject, n, acknowledged[subject])
			}
			acknowledged[subject] = n
		}
	}
	if len(acknowledged) != 4 {
		t.Errorf("acknowledged: %v", acknowledged)
	}
}
