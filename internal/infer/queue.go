package infer

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrBusy is what a caller gets when too much waits already.
var ErrBusy = errors.New("too many tokens wait for this model")

// queue is the sequences that wait, and the workers that run them. Callers take
// turns: each gives a sequence in turn, so that one with a thousand texts does
// not keep out one with a single text.
type queue struct {
	w     *weights
	limit int
	batch int

	mu       sync.Mutex
	wake     *sync.Cond
	requests []*request // those that have sequences waiting
	tokens   int        // that wait
	idle     int        // workers that wait and are not called
	calls    []*team    // that idle workers are called to help
	closed   bool
	workers  sync.WaitGroup
}

// request is one caller's sequences.
type request struct {
	ctx   context.Context //nolint:containedctx // of the caller, who waits
	seqs  []sequence
	sink  func(i int, states []float32)
	taken int
	// left is how many are not done; done is closed with the last.
	left int
	done chan struct{}
	err  error
}

// item is one sequence of a request.
type item struct {
	r *request
	i int
}

func newQueue(w *weights, o Options) *queue {
	q := &queue{w: w, limit: o.QueueTokens, batch: o.BatchTokens}
	q.wake = sync.NewCond(&q.mu)
	for range o.Threads {
		q.workers.Go(q.work)
	}
	return q
}

// run has the sequences run, and returns when they are, or when ctx ends. In
// the second case sink is not called again.
func (q *queue) run(ctx context.Context, seqs []sequence, tokens int, sink func(i int, states []float32)) error {
	r := &request{ctx: ctx, seqs: seqs, sink: sink, left: len(seqs), done: make(chan struct{})}
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case q.tokens > 0 && q.tokens+tokens > q.limit:
		waiting := q.tokens
		q.mu.Unlock()
		return fmt.Errorf("%w: %d", ErrBusy, waiting)
	}
	q.tokens += tokens
	q.requests = append(q.requests, r)
	q.wake.Broadcast()
	q.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		q.abandon(r, ctx.Err())
		<-r.done
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return r.err
}

// abandon drops what waits of a request. What runs is waited for.
func (q *queue) abandon(r *request, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.left == 0 {
		return
	}
	if r.err == nil {
		r.err = err
	}
	n := len(r.seqs) - r.taken
	for _, s := range r.seqs[r.taken:] {
		q.tokens -= len(s.ids)
	}
	r.taken = len(r.seqs)
	for i, x := range q.requests {
		if x == r {
			q.requests = append(q.requests[:i], q.requests[i+1:]...)
			break
		}
	}
	r.finish(n)
}

// finish counts n sequences as done.
func (r *request) finish(n int) {
	if r.left -= n; r.left == 0 && n > 0 {
		close(r.done)
	}
}

// work is a worker: it runs batches, and helps others when none waits.
func (q *queue) work() {
	s, ws := &scratch{}, &workspace{}
	for {
		t, items := q.next()
		switch {
		case items != nil:
			q.runBatch(t, s, ws, items)
		case t != nil:
			t.Help(s)
		default:
			return
		}
	}
}

// next waits for a batch to run with a team, or for a team to help, which comes
// without items. It returns neither when the queue is closed.
func (q *queue) next() (*team, []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waited := false
	for {
		if n := len(q.calls); waited && n > 0 {
			t := q.calls[n-1]
			q.calls = q.calls[:n-1]
			return t, nil
		}
		if len(q.requests) > 0 || q.closed {
			break
		}
		if !waited {
			q.idle++
			waited = true
		}
		q.wake.Wait()
	}
	if waited {
		q.idle--
	}
	if q.closed {
		return nil, nil
	}
	items := q.take()
	t := &team{Members: 1}
	if len(q.requests) == 0 && q.idle > 0 {
		t.Members += q.idle
		for range q.idle {
			q.calls = append(q.calls, t)
		}
		q.idle = 0
		q.wake.Broadcast()
	}
	return t, items
}

// fewTokens is up to how many tokens it is better to run one batch on all
// threads than one on each: reading the weights takes most of the time.
const fewTokens = 256

// take takes a batch from the requests in turn.
func (q *queue) take() []item {
	want := q.batch
	if q.tokens > fewTokens {
		want = min(want, (q.tokens+q.idle)/(q.idle+1))
	}
	var items []item
	for tokens := 0; len(q.requests) > 0; {
		r := q.requests[0]
		n := len(r.seqs[r.taken].ids)
		if tokens > 0 && tokens+n > want {
			break
		}
		tokens += n
		q.tokens -= n
		items = append(items, item{r, r.taken})
		r.taken++
		copy(q.requests, q.requests[1:])
		if r.taken < len(r.seqs) {
			q.requests[len(q.requests)-1] = r
		} else {
			q.requests = q.requests[:len(q.requests)-1]
		}
	}
	return items
}

func (q *queue) runBatch(t *team, s *scratch, ws *workspace, items []item) {
	seqs := make([]sequence, len(items))
	for i, it := range items {
		seqs[i] = it.r.seqs[it.i]
	}
	b := q.w.forward(ws, t, s, seqs)
	t.End()
	h := q.w.c.hidden
	for i, it := range items {
		if it.r.ctx.Err() == nil {
			it.r.sink(it.i, b.x[b.starts[i]*h:b.starts[i+1]*h])
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if err := it.r.ctx.Err(); err != nil && it.r.err == nil {
			it.r.err = err
		}
		it.r.finish(1)
	}
}

// close lets the workers finish what they run, and refuses what waits.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	for _, r := range q.requests {
		r.err = ErrClosed
		n := len(r.seqs) - r.taken
		r.taken = len(r.seqs)
		r.finish(n)
	}
	q.requests, q.tokens = nil, 0
	q.wake.Broadcast()
	q.mu.Unlock()
	q.workers.Wait()
}
