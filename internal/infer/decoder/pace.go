package decoder

import (
	"math/bits"
	"time"
)

// pace chooses how many threads share a step. On a machine of our own that is
// all of them. Where others want the processors too, a step waits at each of its
// hundreds of meeting points for the thread that was set aside, and fewer are
// faster. So it is measured: most steps are taken as was fastest, and some
// otherwise, to see.
type pace struct {
	sizes   []int     // all, half, one
	classes [16]class // by the number of bits of a step's rows
}

// class is steps of about as many rows.
type class struct {
	seconds [3]float64 // of a row, by size; 0: not known
	steps   int
}

// tryEach is how many steps are taken as was fastest between two that are not.
const tryEach = 24

// shortRows is up to how many rows a step is short.
const shortRows = 32

// crowded reports whether fewer threads than all are faster for short steps.
func (p *pace) crowded() bool {
	for i := range classOf(shortRows) + 1 {
		if p.classes[i].best() != 0 {
			return true
		}
	}
	return false
}

func newPace(threads int) *pace {
	p := &pace{sizes: []int{threads}}
	for _, n := range []int{threads / 2, 1} {
		if n > 0 && n < p.sizes[len(p.sizes)-1] {
			p.sizes = append(p.sizes, n)
		}
	}
	return p
}

func classOf(rows int) int { return min(bits.Len(uint(max(0, rows-1))), 15) }

// size returns how many threads a step of so many rows is to have.
func (p *pace) size(rows int) int {
	c := &p.classes[classOf(rows)]
	// Trying costs much with long steps: only where short ones show that there are
	// others on the machine.
	if rows > shortRows && !p.crowded() {
		return p.sizes[0]
	}
	c.steps++
	best, others := c.best(), len(p.sizes)-1
	if others > 0 && c.steps%tryEach == 0 {
		return p.sizes[(best+1+c.steps/tryEach%others)%len(p.sizes)]
	}
	return p.sizes[best]
}

// best is the index of the fastest size that is known; the first, if none is.
func (c *class) best() int {
	best := 0
	for i, s := range c.seconds {
		if s > 0 && c.seconds[best] > 0 && s < 0.95*c.seconds[best] {
			best = i
		}
	}
	return best
}

// note says how long a step took.
func (p *pace) note(rows, size int, d time.Duration) {
	c := &p.classes[classOf(rows)]
	for i, n := range p.sizes {
		if n != size {
			continue
		}
		s, old := d.Seconds()/float64(rows), c.seconds[i]
		switch {
		case old == 0:
		case i == c.best():
			s = old + (s-old)/8
		default: // it is tried seldom
			s = (old + s) / 2
		}
		c.seconds[i] = s
	}
}
