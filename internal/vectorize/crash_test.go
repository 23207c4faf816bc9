package vectorize

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

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/store"
)

const (
	crashWriters = 4  // the last one writes all of its ids with each call
	crashIDs     = 12 // of each writer
	crashDims    = 6
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("VECTORIZE_TEST_CRASH"); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// crashVector is what an id holds in a generation: one look tells both.
func crashVector(writer, id, generation int) Vector {
	v := Vector{ID: fmt.Sprintf("w%d-%d", writer, id), Namespace: fmt.Sprintf("n%d", id%3), Values: make([]float32, crashDims)}
	for i := range v.Values {
		v.Values[i] = float32(1 + writer*1000 + id*10 + i + generation*100_000)
	}
	v.Metadata = fmt.Appendf(nil, `{"g":%d}`, generation)
	return v
}

// crashChild upserts and deletes until it is killed, and says what was acknowledged.
// Generations that are odd are deletes.
func crashChild(dir string) {
	st, err := store.Open(dir)
	if err != nil {
		panic(err)
	}
	s, err := New(Options{Store: st, FlushRows: 24})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	_, _ = s.Create(ctx, account, CreateOptions{Name: "x", Config: Config{crashDims, Dot}})
	x, err := s.Open(ctx, account, "x")
	if err != nil {
		panic(err)
	}
	if len(x.MetadataIndexes()) == 0 {
		if _, err := x.CreateMetadataIndex(ctx, "g", IndexNumber); err != nil {
			panic(err)
		}
	}
	first, _ := io.ReadAll(os.Stdin) // the generation to begin with
	var generation int
	_, _ = fmt.Sscan(string(first), &generation)
	var out sync.Mutex
	for w := range crashWriters {
		go func() {
			for g := generation; ; g++ {
				var vectors []Vector
				var ids []string
				for id := range crashIDs {
					v := crashVector(w, id, g)
					vectors, ids = append(vectors, v), append(ids, v.ID)
					if w == crashWriters-1 && id < crashIDs-1 {
						continue
					}
					if err := crashWrite(ctx, x, g, vectors, ids); err != nil {
						panic(err)
					}
					out.Lock()
					for i := range ids {
						fmt.Printf("%d %d %d .\n", w, id-len(ids)+1+i, g)
					}
					out.Unlock()
					vectors, ids = nil, nil
				}
			}
		}()
	}
	select {}
}

// crashWrite writes vectors of a generation, or deletes them if it is odd.
func crashWrite(ctx context.Context, x *Index, generation int, vectors []Vector, ids []string) error {
	var err error
	if generation%2 == 1 {
		_, err = x.Delete(ctx, ids)
	} else {
		_, err = x.Upsert(ctx, vectors)
	}
	return err
}

// TestKilledProcessKeepsAcknowledged kills a process that upserts and deletes, while
// segments are made and merged, at random times. What it acknowledged is there, or
// what came right after it, and never another vector under an id.
func TestKilledProcessKeepsAcknowledged(t *testing.T) {
	rounds := 20
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		rounds = 200
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	known := map[[2]int]int{} // the generation that is there
	next, segments, total := 0, 0, 0
	for round := range rounds {
		begun := next
		var acknowledged map[[2]int]int
		acknowledged, next = crashRound(t, dir, next, time.Duration(random.IntN(150))*time.Millisecond)
		segments += checkCrashed(t, dir, known, acknowledged, begun, round)
		for _, g := range acknowledged {
			total += g - begun + 1
		}
		if t.Failed() {
			return
		}
	}
	if len(known) < crashWriters*crashIDs || segments == 0 {
		t.Errorf("only %d ids were written, and %d segments", len(known), segments)
	}
	t.Logf("%d kills, %d upserts and deletes acknowledged, 0 lost", rounds, total)
}

// crashRound returns what was acknowledged, and an even generation above all that
// were begun.
func crashRound(t *testing.T, dir string, begun int, life time.Duration) (acknowledged map[[2]int]int, next int) {
	t.Helper()
	acknowledged, next = map[[2]int]int{}, begun+2
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "VECTORIZE_TEST_CRASH="+dir)
	child.Stderr = os.Stderr
	child.Stdin = strings.NewReader(fmt.Sprint(begun))
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
		var w, id, g int
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d .", &w, &id, &g); err != nil {
			break // the line that the kill cut off
		}
		acknowledged[[2]int{w, id}] = g
		next = max(next, g+2+g%2)
	}
	_ = child.Wait()
	return acknowledged, next
}

// checkCrashed looks at every id, and notes in known what it has.
func checkCrashed(t *testing.T, dir string, known, acknowledged map[[2]int]int, begun, round int) (segments int) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}()
	x := open(t, s, "x")
	defer x.Release()
	live := 0
	for w := range crashWriters {
		for id := range crashIDs {
			key := [2]int{w, id}
			last, ok := acknowledged[key]
			after := last + 1
			if !ok {
				// What the process would have begun with, which may have been done too.
				after = begun
				if last, ok = known[key]; !ok {
					last = -1
				}
			}
			now := stored(t, x, w, id, last, after)
			if now != last && now != after {
				t.Errorf("round %d: w%d-%d has generation %d, want %d or %d", round, w, id, now, last, after)
			}
			if known[key] = now; now%2 == 0 {
				live++
			}
		}
	}
	checkWhole(t, x, known, round)
	if n := x.Stats().Count; n != live {
		t.Errorf("round %d: %d vectors are counted, %d are there", round, n, live)
	}
	matches, err := x.Query(&Query{Vector: crashVector(0, 0, 0).Values, TopK: 100})
	if err != nil || len(matches) != x.Stats().Count {
		t.Errorf("round %d: a query finds %d of %d: %v", round, len(matches), x.Stats().Count, err)
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.segs)
}

// checkWhole holds that calls were applied whole, and that a filter finds what is there
// by what its metadata say.
func checkWhole(t *testing.T, x *Index, known map[[2]int]int, round int) {
	t.Helper()
	const w = crashWriters - 1
	for id := range crashIDs {
		if known[[2]int{w, id}] != known[[2]int{w, 0}] {
			t.Errorf("round %d: a call was applied by half: w%d-%d has generation %d, w%d-0 has %d", round, w, id, known[[2]int{w, id}], w, known[[2]int{w, 0}])
		}
	}
	count := map[int]int{}
	for _, g := range known {
		if g%2 == 0 {
			count[g]++
		}
	}
	for g, want := range count {
		got, err := x.Query(&Query{Vector: crashVector(0, 0, 0).Values, TopK: 100, Filter: fmt.Appendf(nil, `{"g":%d}`, g)})
		if err != nil || len(got) != want {
			t.Errorf("round %d: a filter finds %d of %d of generation %d: %v", round, len(got), want, g, err)
		}
	}
}

// stored returns the generation of an id, which is one of two: of deletes nothing
// is there to tell.
func stored(t *testing.T, x *Index, w, id, last, after int) int {
	t.Helper()
	got, err := x.Get([]string{crashVector(w, id, 0).ID})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		if last%2 == 0 {
			return after | 1 // wrong if it is no delete
		}
		return last
	}
	now := int(got[0].Values[0]) / 100_000
	if whole := crashVector(w, id, now); fmt.Sprint(got[0]) != fmt.Sprint(whole) {
		t.Errorf("%s holds %v, want %v", whole.ID, got[0], whole)
	}
	return now
}
