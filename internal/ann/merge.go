package ann

import (
	"context"
	"errors"
	"fmt"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Input is one set that Merge takes over.
type Input struct {
	// From is a Segment, a Mem or another source.
	From Source
	// Deleted, unless nil, has the rows to leave out.
	Deleted *Bitmap
}

// Merge writes the rows of all inputs that are not deleted as one segment: the
// first input's in their order, then the second's, and so on. It is made to run
// beside searches; what it costs is told at [Build], whose errors it shares.
//
// The rows that exist when Merge begins are taken over. Rows deleted meanwhile
// are the caller's to note: a caller maps old rows to new ones by counting, as
// Merge does.
func Merge(ctx context.Context, fs fsx.FS, path string, c Config, inputs ...Input) error {
	live := &liveRows{}
	for i, in := range inputs {
		if s, ok := in.From.(interface{ Config() Config }); ok && (s.Config().Dim != c.Dim || s.Config().Metric != c.Metric) {
			return fmt.Errorf("ann: input %d has %d dimensions and metric %s, the segment %d and %s", i, s.Config().Dim, s.Config().Metric, c.Dim, c.Metric)
		}
		live.add(in)
	}
	return Build(ctx, fs, path, c, live)
}

// liveRows is a source of what is left of several.
type liveRows struct {
	inputs []Input
	lens   []int // rows that input had when the merge began
	n      int

	input, next int // where the following row is looked for
}

func (l *liveRows) add(in Input) {
	n := in.From.Len()
	l.inputs, l.lens = append(l.inputs, in), append(l.lens, n)
	l.n += n
	for row := range in.Deleted.Rows() {
		if int(row) < n {
			l.n--
		}
	}
}

func (l *liveRows) Len() int { return l.n }

// Vector relies on being asked for each row once and in order.
func (l *liveRows) Vector(dst []float32, _ int) ([]float32, error) {
	for l.input < len(l.inputs) {
		in := l.inputs[l.input]
		for l.next < l.lens[l.input] {
			row := l.next
			l.next++
			if !in.Deleted.Has(uint32(row)) { //nolint:gosec // below Len
				return in.From.Vector(dst, row)
			}
		}
		l.input, l.next = l.input+1, 0
	}
	return dst, errors.New("ann: a bitmap of deleted rows changed during the merge")
}
