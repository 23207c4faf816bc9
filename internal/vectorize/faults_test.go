package vectorize

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/store"
)

const faultMutations = 40

// every is one step in so many: all of them in a full run.
func every(n int) int {
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		return 1
	}
	return n
}

// faultVector is what id i holds in a run with faults.
func faultVector(i int) Vector {
	return Vector{ID: fmt.Sprint("id", i), Values: []float32{1, float32(i)}, Metadata: fmt.Appendf(nil, `{"i":%d}`, i)}
}

// faulty runs mutations on a new index on whose file system prepare has put faults,
// and returns which of them were acknowledged. With stop the first error ends it.
func faulty(t *testing.T, dir string, faults *fsxtest.Faults, prepare func(), stop bool) (acknowledged map[int]bool) { //nolint:revive // when to end
	t.Helper()
	st, err := store.OpenWith(dir, store.Options{FS: faults.FS()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: 8})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{2, Dot}}); err != nil {
		t.Fatal(err)
	}
	x := open(t, s, "x")
	prepare()
	acknowledged = make(map[int]bool)
	for i := range faultMutations {
		_, err := x.Upsert(t.Context(), []Vector{faultVector(i)})
		if err == nil {
			acknowledged[i] = true
		} else if stop {
			break
		}
	}
	if !stop {
		holdsAcknowledged(t, x, acknowledged)
	}
	x.Release()
	_ = s.Close() // it may not be able to note where its log ends
	_ = st.Close()
	return acknowledged
}

// holdsAcknowledged checks that each id has its vector: those that were acknowledged
// all of them, the others if they have one.
func holdsAcknowledged(t *testing.T, x *Index, acknowledged map[int]bool) {
	t.Helper()
	n := 0
	for i := range faultMutations {
		want := faultVector(i)
		got, err := x.Get([]string{want.ID})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			if acknowledged[i] {
				t.Errorf("%s was acknowledged and is gone", want.ID)
			}
			continue
		}
		n++
		if fmt.Sprint(got[0]) != fmt.Sprint(want) {
			t.Errorf("%s holds %v, want %v", want.ID, got[0], want)
		}
	}
	found, err := x.Query(&Query{Vector: []float32{1, 1}, TopK: faultMutations})
	if err != nil || len(found) != n || x.Stats().Count != n {
		t.Errorf("a query finds %d, %d are counted, %d are there: %v", len(found), x.Stats().Count, n, err)
	}
}

// reopened checks what an index holds when it is opened without faults.
func reopened(t *testing.T, dir string, acknowledged map[int]bool) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: 8})
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Open(t.Context(), account, "x")
	if err != nil {
		t.Fatalf("%v: %v", err, errors.Unwrap(err))
	}
	holdsAcknowledged(t, x, acknowledged)
	x.Release()
	if err := errors.Join(s.Close(), st.Close()); err != nil {
		t.Error(err)
	}
}

// TestStoppedAnywhere stops the file system at each step of a run in turn, as a kill
// does, until a run ends before it gets there: how many steps a run takes depends on
// how many mutations share a sync. What was acknowledged before is there afterwards.
func TestStoppedAnywhere(t *testing.T) {
	for at := 1; ; at += every(17) {
		dir := t.TempDir()
		var faults fsxtest.Faults
		acknowledged := faulty(t, dir, &faults, func() { faults.StopAt(at) }, true)
		reopened(t, dir, acknowledged)
		if t.Failed() {
			t.Fatalf("stopped at step %d", at)
		}
		if !faults.Stopped() {
			if at <= faultMutations {
				t.Errorf("a run of %d mutations took less than %d steps", faultMutations, at)
			}
			return
		}
	}
}

// TestEachStepFails makes each step of each kind fail once, and goes on. What was
// acknowledged is there, before and after the index is opened again.
func TestEachStepFails(t *testing.T) {
	var clean fsxtest.Faults
	before := map[fsx.Op]int{}
	ops := []fsx.Op{fsx.OpSync, fsx.OpRename, fsx.OpSyncDir, fsx.OpWrite, fsx.OpCreate, fsx.OpRemove}
	faulty(t, t.TempDir(), &clean, func() {
		for _, op := range ops {
			before[op] = clean.Count(op)
		}
	}, false)
	lost := errors.New("lost")
	refused := 0
	for _, op := range ops {
		steps := clean.Count(op) - before[op]
		if steps == 0 {
			t.Errorf("a run has no step %q", op)
		}
		for n := 1; n <= steps; n += every(1 + steps/4) {
			dir := t.TempDir()
			var faults fsxtest.Faults
			acknowledged := faulty(t, dir, &faults, func() { faults.FailNth(op, n, lost) }, false)
			refused += faultMutations - len(acknowledged)
			reopened(t, dir, acknowledged)
			if t.Failed() {
				t.Fatalf("with step %d of %q failing", n, op)
			}
		}
	}
	if refused == 0 {
		t.Error("no fault was ever met")
	}
}
