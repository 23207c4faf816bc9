package infer

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Every item of every phase is done once, and before the next phase begins, however
// late a member comes.
func TestTeamDoesEachItemOnce(t *testing.T) {
	t.Parallel()
	const members, phases = 4, 3000
	team := &team{members: members}
	var wg sync.WaitGroup
	for range members - 1 {
		wg.Go(func() { team.help(&scratch{}) })
	}
	for p := range phases {
		done := make([]atomic.Int32, 2+p%37) // more items than before, and fewer
		team.do(&scratch{}, len(done), 1, func(_ *scratch, from, to int) {
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
	team.end()
	wg.Wait()
}
