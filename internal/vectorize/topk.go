package vectorize

// hit is a candidate: the smaller its distance, the nearer it is.
type hit struct {
	dist   float32
	source int    // which part of the index it is in
	row    uint32 // there
}

// topk keeps the k nearest of what it is shown, as a heap with the farthest on top.
type topk struct {
	k    int
	heap []hit
}

// full reports whether there are k already.
func (t *topk) full() bool { return len(t.heap) == t.k }

func (t *topk) push(h hit) {
	if !t.full() {
		t.heap = append(t.heap, h)
		for i := len(t.heap) - 1; i > 0; {
			up := (i - 1) / 2
			if t.heap[up].dist >= t.heap[i].dist {
				break
			}
			t.heap[up], t.heap[i] = t.heap[i], t.heap[up]
			i = up
		}
		return
	}
	if h.dist >= t.heap[0].dist {
		return
	}
	t.heap[0] = h
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(t.heap) {
			return
		}
		if right := down + 1; right < len(t.heap) && t.heap[right].dist > t.heap[down].dist {
			down = right
		}
		if t.heap[i].dist >= t.heap[down].dist {
			return
		}
		t.heap[i], t.heap[down] = t.heap[down], t.heap[i]
		i = down
	}
}
