package crew_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/crew"
)

// Every item of every phase is done once, and before the next phase begins, however
// late a member comes.
func TestDoesEachItemOnce(t *testing.T) {
	t.Parallel()
	const members, phases = 4, 3000
	c := &crew.Crew[int]{Members: members}
	var wg sync.WaitGroup
	for range members - 1 {
		wg.Go(func() { c.Help(0) })
	}
	for p := range phases {
		done := make([]atomic.Int32, 2+p%37) // more items than before, and fewer
		c.Do(0, len(done), 1, func(_, from, to int) {
			for i := from; i < to; i++ {
				done[i].Add(1)
			}
		})
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Fatalf("phase %d: item %d was done %d times", p, i, n)
			}
		}
	}
	c.End()
	wg.Wait()
}
