package ann

// SearchOptions says what a search is to find.
type SearchOptions struct {
	// K is how many answers are wanted at most.
	K int
	// Ef is how many candidates a graph search keeps: more find better answers
	// and cost more time. 0 chooses by K.
	Ef int
	// Rows, unless it is zero, has all rows that may be answers. What lies out of
	// it costs a search nothing: a namespace is a range.
	Rows Range
	// Filter, unless nil, has the rows that may be answers. Its Count decides
	// how the search goes about it. It need not reach farther than Rows.
	Filter *Bitmap
	// Deleted, unless nil, has the rows that may not.
	Deleted *Bitmap
	// Exact asks for every allowed row to be compared as it was given.
	Exact bool
	// Cost, unless nil, is added to by what the search did.
	Cost *Cost
}

// Range is the rows from First to below End. The zero Range is all rows.
type Range struct{ First, End int }

// Cost counts what searches did. It is the same on every machine.
type Cost struct {
	Vectors int // compared as they were given
	Codes   int // compared
	Lists   int // of neighbours, read
	Words   int // of bitmaps, each for 64 rows, gone through in order
}

// within bounds Rows by n rows, so that it says what is meant.
func (o *SearchOptions) within(n int) {
	if o.Rows == (Range{}) {
		o.Rows.End = n
	}
	o.Rows.First = max(o.Rows.First, 0)
	o.Rows.End = max(min(o.Rows.End, n), o.Rows.First)
}

// count returns about how many rows may be answers, and at least as many. Some
// of a filter's may be deleted.
func (o *SearchOptions) count(c *Cost) int {
	first, end := o.Rows.First, o.Rows.End
	if o.Filter != nil {
		c.Words += o.Filter.countWords(first, end)
		return o.Filter.CountRange(first, end)
	}
	c.Words += o.Deleted.countWords(first, end)
	return end - first - o.Deleted.CountRange(first, end)
}

// allowed says whether row may be an answer.
func (o *SearchOptions) allowed(row uint32) bool {
	return uint(int(row)-o.Rows.First) < uint(o.Rows.End-o.Rows.First) && // below First it becomes too large
		(o.Filter == nil || o.Filter.Has(row)) && !o.Deleted.Has(row)
}

// allowedWord has the rows of the i-th 64 that may be answers.
func (o *SearchOptions) allowedWord(i int) uint64 {
	w := rowsWithin(i, o.Rows.First, o.Rows.End)
	if o.Filter != nil {
		w &= o.Filter.word(i)
	}
	return w &^ o.Deleted.word(i)
}

// words returns the first of the words that [SearchOptions.allowedWord] is to be
// asked for, and the one after the last.
func (o *SearchOptions) words() (first, end int) {
	return o.Rows.First >> 6, (o.Rows.End + 63) >> 6
}
