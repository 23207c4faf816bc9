package kernels

import (
	"fmt"
	"unsafe"
)

// Finish says what becomes of a tile: for each of its rows i and columns j
//
//	dst[i][j] = act(int8[i][j]·RowScale[i]·ColScale[j] + float32[i][j] + Bias[j]) + Residual[i][j]
//
// where act is GELU or nothing.
type Finish struct {
	RowScale []float32 // one for each row
	ColScale []float32 // 32
	Bias     []float32 // 32
	// Residual is nil or as many rows as the tile, LdResidual apart.
	Residual   []float32
	LdResidual int
	Dst        []float32
	LdDst      int
	GELU       bool
}

// FinishInt8 finishes the first rows of what [Tile.Int8] computed.
func (t *Tile) FinishInt8(rows int, o *Finish) { t.finishInt8(rows, o, nil) }

// FinishBoth is FinishInt8 of the sum of what [Tile.Int8] and [Tile.Float32]
// computed.
func (t *Tile) FinishBoth(rows int, o *Finish) { t.finishInt8(rows, o, unsafe.Pointer(&t.floats)) }

func (t *Tile) finishInt8(rows int, o *Finish, extra unsafe.Pointer) {
	f := t.prepare(rows, o)
	if len(o.RowScale) < rows || len(o.ColScale) < Cols {
		panic("kernels: too few scales for the tile")
	}
	f.tile, f.rowScale, f.colScale = unsafe.Pointer(&t.ints), unsafe.Pointer(&o.RowScale[0]), unsafe.Pointer(&o.ColScale[0])
	f.extra = extra
	active.finish(f)
}

// FinishFloat32 finishes the first rows of what [Tile.Float32] computed. The
// scales do not apply.
func (t *Tile) FinishFloat32(rows int, o *Finish) {
	f := t.prepare(rows, o)
	f.tile = unsafe.Pointer(&t.floats)
	f.flags |= flagFloat
	active.finish(f)
}

// prepare fills the tile's own structure: one on the stack would escape.
func (t *Tile) prepare(rows int, o *Finish) *finish {
	if rows < 1 || rows > Rows || len(o.Bias) < Cols || o.LdDst < Cols || len(o.Dst) < (rows-1)*o.LdDst+Cols ||
		o.Residual != nil && (o.LdResidual < Cols || len(o.Residual) < (rows-1)*o.LdResidual+Cols) {
		panic(fmt.Sprintf("kernels: a tile of %d rows does not fit its destination", rows))
	}
	f := &t.finish
	*f = finish{
		bias: unsafe.Pointer(&o.Bias[0]), dst: unsafe.Pointer(&o.Dst[0]),
		rows: uintptr(rows), ldResidual: uintptr(o.LdResidual * 4), ldDst: uintptr(o.LdDst * 4),
	}
	if o.Residual != nil {
		f.residual = unsafe.Pointer(&o.Residual[0])
	}
	if o.GELU {
		f.flags = flagGELU
	}
	return f
}
