package blocks

// set is one implementation of the inner loops. Pointers are to first elements;
// who calls has checked what lies behind them. Strides are in bytes.
type set struct {
	name string
	// few is up to how many vectors [Matrix.MulVector] for each is faster than
	// [Matrix.MulPanel] for all.
	few int
	// dot returns in dst the products of rows with a packed vector of so many
	// units; nil where [dotGo] does it.
	dot func(t Type, w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)
	// open unpacks blocks of a row to bytes, and stores scales and negative minima
	// of its groups 128 bytes apart. What is ahead bytes on is read soon after.
	open func(t Type, src *byte, units int, q *uint8, scale, least *float32, ahead int)
	// interleave takes 16 rows of n·64 bytes, stride apart, to groups of 4 bytes of
	// each row in turn, 128 bytes apart.
	interleave func(dst, src *uint8, stride, n int)
	// panels computes tiles of exactly so many rows, the most first, one last.
	panels []panel
	halves []halfTile
	// quantize sets n·32 numbers of q, scales, and the sums of each 16 of q.
	quantize func(q *int8, scale *float32, sums *int32, x *float32, n int)
	swiglu   func(dst, gate, up *float32, n int)
	toHalf   func(dst *uint16, x *float32, n int)
}

// panel adds to c[rows×32] the product of rows of signed activations with a
// panel: for each of groups, 4·steps weights.
type panel struct {
	rows int
	run  func(a *int8, lda int, scale *float32, lds int, b *uint8, weights *float32, groups, steps int, c *float32, ldc int)
}

// halfTile adds to c[rows×32], or, if fresh, sets it to the product of rows of a with k rows of 32
// binary16 numbers, ldb apart.
type halfTile struct {
	rows int
	run  func(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)
}

// active is what the exported functions use. It is set once, before main.
var active = usable()[0] //nolint:gochecknoglobals // the processor does not change while we run

// Level names the instructions in use: "avx512-vnni", "avx2" or "portable".
func Level() string { return active.name }

// Few is up to how many vectors [Matrix.MulVector] for each is faster than
// [Matrix.MulPanel] for all.
func Few() int { return active.few }
