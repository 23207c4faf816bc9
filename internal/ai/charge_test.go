package ai_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
	"github.com/selvage-dev/selvage/internal/ai/remote"
	"github.com/selvage-dev/selvage/internal/ai/remote/openaitest"
	"github.com/selvage-dev/selvage/internal/store"
)

const llama = "@cf/meta/llama-3.1-8b-instruct"

// openRouted is a service with a server behind it, which gets so many requests at once
// and lets so many wait.
func openRouted(t *testing.T, concurrent, queue int, theirs string) (*ai.Service, *openaitest.Server) {
	t.Helper()
	fake := &openaitest.Server{}
	h := httptest.NewServer(fake)
	t.Cleanup(h.Close)
	u, err := url.Parse(h.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ai.New(ai.Options{
		Store: st, Upstreams: []remote.Options{{Name: "fake", URL: u}}, Routes: []ai.Route{{Model: llama, Upstream: "fake", Theirs: theirs}},
		Concurrent: concurrent, Queue: queue,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, fake
}

func codeOf(err error) int {
	if e, ok := errors.AsType[*ai.Error](err); ok {
		return e.Code
	}
	return 0
}

// used sums what a subject used today.
func used(t *testing.T, s *ai.Service, subject string) (sum ledger.Amount) {
	t.Helper()
	rows, err := s.Usage(t.Context(), "a", time.Now().AddDate(0, 0, -1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if rows[i].Subject == subject {
			sum.Requests += rows[i].Requests
			sum.Failed += rows[i].Failed
			sum.In += rows[i].In
			sum.Out += rows[i].Out
			sum.Neurons += rows[i].Neurons
		}
	}
	return sum
}

func TestRunsAreCounted(t *testing.T) {
	t.Parallel()
	s, _ := openRouted(t, 4, 4, "echo")
	shop := &ai.Caller{Account: "a", Script: "shop"}
	if _, err := s.Run(t.Context(), shop, llama, []byte(`{"prompt":"one two"}`)); err != nil {
		t.Fatal(err)
	}
	a, err := s.Run(t.Context(), shop, llama, []byte(`{"prompt":"one two three","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Stream(func(*chat.Delta) error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := ledger.Amount{Requests: 2, In: 14, Out: 5, Neurons: 14*25_608 + 5*75_147}
	if got := used(t, s, "worker:shop"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := s.Run(t.Context(), shop, "@cf/baai/bge-m3", []byte(`{"text":"a"}`)); codeOf(err) != 5007 {
		t.Errorf("%v", err)
	}
	if got := used(t, s, "worker:shop"); got != want {
		t.Errorf("a model that is not here was charged: %+v", got)
	}
}

func TestLimitsStopRuns(t *testing.T) {
	t.Parallel()
	s, fake := openRouted(t, 4, 4, "echo")
	if err := s.SetLimits(t.Context(), "a", "worker:shop", &ledger.Limits{Requests: ledger.Per{Month: 1}, InputBytes: 1000}); err != nil {
		t.Fatal(err)
	}
	shop := &ai.Caller{Account: "a", Script: "shop"}
	if _, err := s.Run(t.Context(), shop, llama, append(append([]byte(`{"prompt":"`), make1000()...), `"}`...)); codeOf(err) != 3006 {
		t.Errorf("a large input: %v", err)
	}
	if _, err := s.Run(t.Context(), shop, llama, []byte(`{"prompt":"a"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Run(t.Context(), shop, llama, []byte(`{"prompt":"a"}`))
	if e, ok := errors.AsType[*ai.Error](err); !ok || e.Code != 3036 || e.Status() != 429 || e.RetryAfter <= 0 {
		t.Errorf("beyond the limit: %v", err)
	}
	a, err := s.Run(t.Context(), shop, llama, []byte(`{"prompt":"a","stream":true}`))
	if err == nil {
		err = a.Stream(func(*chat.Delta) error { return nil })
	}
	if codeOf(err) != 3036 {
		t.Errorf("a stream beyond the limit: %v", err)
	}
	if _, err := s.Run(t.Context(), &ai.Caller{Account: "a", Script: "other"}, llama, []byte(`{"prompt":"a"}`)); err != nil {
		t.Errorf("another worker: %v", err)
	}
	if n := fake.Requests.Load(); n != 2 {
		t.Errorf("the server got %d requests", n)
	}
}

func make1000() []byte {
	text := make([]byte, 1001)
	for i := range text {
		text[i] = 'a'
	}
	return text
}

// TestLeavingIsCountedAndStops has a caller leave a stream that has no end.
func TestLeavingIsCountedAndStops(t *testing.T) {
	t.Parallel()
	s, fake := openRouted(t, 1, 4, "endless")
	ctx, leave := context.WithCancel(t.Context())
	a, err := s.Run(ctx, &ai.Caller{Account: "a", Script: "shop"}, llama, []byte(`{"prompt":"a","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	pieces := int64(0)
	err = a.Stream(func(*chat.Delta) error {
		if pieces++; pieces == 5 {
			leave()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := used(t, s, "worker:shop"); got.Requests != 1 || got.Failed != 1 || got.Out < 5 || got.Out > pieces {
		t.Errorf("%+v after %d pieces", got, pieces)
	}
	for deadline := time.Now().Add(5 * time.Second); fake.Left.Load() != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server goes on")
		}
	}
}

// TestThousandChats sends a thousand at once, most of them by one worker: some are refused
// with when to come again, the others are answered, and who sends few is among them.
func TestThousandChats(t *testing.T) {
	t.Parallel()
	s, fake := openRouted(t, 8, 200, "echo")
	var answered, refused, odd atomic.Int64
	var wg sync.WaitGroup
	chatAs := func(script string, done *atomic.Int64) {
		_, err := s.Run(t.Context(), &ai.Caller{Account: "a", Script: script}, llama, []byte(`{"prompt":"one two"}`))
		switch e, _ := errors.AsType[*ai.Error](err); {
		case err == nil:
			done.Add(1)
		case e != nil && e.Code == 3040 && e.RetryAfter > 0:
			refused.Add(1)
		default:
			odd.Add(1)
			t.Error(err)
		}
	}
	for range 990 {
		wg.Go(func() { chatAs("greedy", &answered) })
	}
	wg.Wait()
	var modest atomic.Int64
	for i := range 10 {
		wg.Go(func() { chatAs("modest"+strconv.Itoa(i), &modest) })
	}
	wg.Wait()
	if answered.Load() < 200 || answered.Load()+refused.Load() != 990 || modest.Load() != 10 {
		t.Errorf("%d answered, %d refused, %d of the modest answered", answered.Load(), refused.Load(), modest.Load())
	}
	if peak := fake.Peak.Load(); peak > 8 {
		t.Errorf("the server had %d requests at once", peak)
	}
	if got := used(t, s, "worker:greedy"); got.Requests-got.Failed != answered.Load() || got.Out != 2*answered.Load() {
		t.Errorf("%+v, %d answered", got, answered.Load())
	}
}
