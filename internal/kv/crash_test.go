package kv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/store"
)

func full() bool { return os.Getenv("SELVAGE_TEST_FULL") != "" }

// crashNamespace is the title of the namespace that crashChild writes to.
const crashNamespace = "crash"

// generations are how often a key is written, odd ones being deletes. The last
// is a value: it is what stays.
const generations = 5

// TestKilledProcessKeepsAcknowledged kills a process that puts and deletes, small
// values and large ones, at random times. What it acknowledged is there, and
// only that or what came after it.
func TestKilledProcessKeepsAcknowledged(t *testing.T) {
	rounds := 5
	if full() {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acknowledged := map[string]int{} // key: its generation; odd ones are deletes
	for round := range rounds {
		crashRound(t, dir, acknowledged, time.Duration(random.IntN(200))*time.Millisecond)
		checkRound(t, dir, acknowledged, round)
		if t.Failed() {
			return
		}
	}
	if len(acknowledged) < 8 {
		t.Errorf("only %d keys were written", len(acknowledged))
	}
	total := 0
	for _, n := range acknowledged {
		total += n + 1
	}
	t.Logf("%d acknowledged writes in %d rounds", total, rounds)
}

func crashRound(t *testing.T, dir string, acknowledged map[string]int, life time.Duration) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "KV_TEST_CRASH="+dir)
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
		once.Do(func() { time.AfterFunc(life, func() { _ = child.Process.Kill() }) })
		var key string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d .", &key, &n); err != nil {
			break // the line that the kill cut off
		}
		acknowledged[key] = n
	}
	_ = child.Wait()
}

func checkRound(t *testing.T, dir string, acknowledged map[string]int, round int) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(kv.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}()
	ns := crashID(t.Context(), s)
	for key, n := range acknowledged {
		e, ok, err := s.Get(t.Context(), account, ns, key)
		if err != nil {
			t.Fatalf("round %d: %s: %v", round, key, err)
		}
		got := n // a delete leaves nothing to tell its generation by
		switch {
		case ok:
			got = generation(t, key, e)
		case n%2 == 0:
			got = n + 1
		}
		// The write after the last acknowledged one may have been made, too; it is
		// the last of its goroutine.
		if got != n && got != n+1 || got == n+1 && n+1 == generations {
			t.Errorf("round %d: %s: generation %d (present %v), acknowledged %d", round, key, got, ok, n)
		}
	}
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Errorf("round %d: sweep: %v", round, err)
	}
}

// generation reads the number in a value and checks that the value is whole.
func generation(t *testing.T, key string, e kv.Entry) int {
	t.Helper()
	body := e.Value
	if e.File != nil {
		defer e.File.Close()
		var err error
		if body, err = io.ReadAll(e.File); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if _, err := fmt.Sscanf(string(body), "%d|", &n); err != nil || string(body) != crashValue(n) {
		t.Errorf("%s: a value of %d bytes, %.20q, is not whole", key, len(body), body)
	}
	return n
}

func crashValue(n int) string {
	size := 100
	if n%10 == 4 {
		size = kv.InlineSize + 100
	}
	return fmt.Sprint(n, "|", strings.Repeat(string(rune('a'+n%26)), size))
}

func crashID(ctx context.Context, s *kv.Service) string {
	all, _, err := s.Namespaces(ctx, account, kv.Order{}, 0, 1)
	if err == nil && len(all) == 0 {
		var n kv.Namespace
		n, err = s.CreateNamespace(ctx, account, crashNamespace)
		all = []kv.Namespace{n}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return all[0].ID
}

// crashChild writes generation after generation of its keys and prints each once
// it is acknowledged, until it is killed. Odd generations are deletes.
func crashChild(dir string) {
	st, err := store.Open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s, err := kv.New(kv.Options{Store: st})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	ns := crashID(ctx, s)
	var wg sync.WaitGroup
	run := time.Now().UnixMicro()
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d-%d", run, w, i)
				for n := range generations {
					if err := crashWrite(ctx, s, ns, key, n); err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					// One system call: lines of several goroutines do not mix.
					fmt.Printf("%s %d .\n", key, n)
				}
			}
		})
	}
	wg.Wait()
}

func crashWrite(ctx context.Context, s *kv.Service, ns, key string, n int) error {
	if n%2 == 1 {
		return s.Delete(ctx, account, ns, key)
	}
	value := crashValue(n)
	v, err := s.Stage(ctx, account, ns, strings.NewReader(value), int64(len(value)))
	if err != nil {
		return err
	}
	return s.Put(ctx, account, ns, kv.Pair{Key: key, Value: v})
}
