package decoder

import (
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

// A cacheBlock has the keys and values of [blockTokens] tokens: for each layer and
// head a panel of keys, [channel][token], and rows of values, [token][channel].

// store keeps the keys and values of row i.
func (f *forward) store(layer, i int) {
	c := f.w.c
	r := &f.runs[f.runOf[i]]
	p := r.from + i - r.row
	b, at, d, kv := r.table[p/blockTokens], p%blockTokens, c.head, c.kvHeads*c.head
	var half [512]uint16
	for h := range c.kvHeads {
		keys, values := b.head(c, layer, h)
		blocks.ToHalves(half[:d], f.k[i*kv+h*d:i*kv+(h+1)*d])
		for ch, v := range half[:d] {
			keys[ch*blockTokens+at] = v
		}
		blocks.ToHalves(values[at*d:(at+1)*d], f.v[i*kv+h*d:i*kv+(h+1)*d])
	}
}

// The scoreFloats are how many scores are computed before they are used, so that
// they are still in the cache.
const scoreFloats = 64 << 10

// attend computes the attention of all rows to what is stored.
func (f *forward) attend(layer int) {
	c := f.w.c
	var parts []part
	for i := range f.runs {
		r := &f.runs[i]
		// A part is so many tokens that the scores of one group of heads stay small.
		n := max(1, scoreFloats/((r.from+len(r.tokens))*(c.heads/c.kvHeads)))
		for from := 0; from < len(r.tokens); from += n {
			parts = append(parts, part{r, from, min(from+n, len(r.tokens))})
		}
	}
	f.team.Do(f.scratch, len(parts)*c.kvHeads, 1, func(s *scratch, from, to int) {
		for i := from; i < to; i++ {
			f.attendHead(s, layer, i%c.kvHeads, &parts[i/c.kvHeads])
		}
	})
}

// part is tokens [from, to) of a run.
type part struct {
	r        *run
	from, to int
}

// attendHead computes the heads that share the key-value head h: softmax(Q·Kᵀ/√d)·V.
func (f *forward) attendHead(s *scratch, layer, h int, p *part) {
	c := f.w.c
	d, group, q := c.head, c.heads/c.kvHeads, c.heads*c.head
	rows, first, end := (p.to-p.from)*group, p.r.from+p.from, p.r.from+p.to
	begin := 0 // of the keys that any of these tokens sees
	if c.window > 0 {
		begin = max(0, first+1-c.window) / blockTokens * blockTokens
	}
	ld := (end - begin + blockTokens - 1) / blockTokens * blockTokens
	s.queries, s.results, s.scores = sized(s.queries, rows*d), sized(s.results, rows*d), sized(s.scores, rows*ld)
	scale := float32(1 / math.Sqrt(float64(d)))
	for t := range p.to - p.from {
		src := f.q[(p.r.row+p.from+t)*q+h*group*d:]
		for i, v := range src[:group*d] {
			s.queries[t*group*d+i] = v * scale
		}
	}
	for at := begin; at < end; at += blockTokens {
		keys, _ := p.r.table[at/blockTokens].head(c, layer, h)
		blocks.MulHalves(rows, d, s.queries, d, keys, blockTokens, s.scores[at-begin:], ld, false)
	}
	for i := range rows {
		row := s.scores[i*ld : (i+1)*ld]
		seen := first + i/group + 1 - begin
		for j := seen; j < ld; j++ {
			row[j] = unseen
		}
		if c.window > 0 {
			for j := range max(0, seen-c.window) {
				row[j] = unseen
			}
		}
		kernels.Softmax(row, 1)
	}
	for at := begin; at < end; at += blockTokens {
		_, values := p.r.table[at/blockTokens].head(c, layer, h)
		for ch := 0; ch < d; ch += blocks.Cols {
			blocks.MulHalves(rows, min(blockTokens, end-at), s.scores[at-begin:], ld, values[ch:], d, s.results[ch:], d, at > begin)
		}
	}
	for t := range p.to - p.from {
		copy(f.attended[(p.r.row+p.from+t)*q+h*group*d:], s.results[t*group*d:(t+1)*group*d])
	}
}

// unseen is the score of a key that a token does not see; see [kernels.Softmax].
const unseen = -1e30
