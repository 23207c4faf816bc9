package decoder

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// The promptTokens are how many tokens of prompts a step takes when nothing is
	// being written: enough to make unpacking the weights cheap.
	promptTokens = 256
	// The besideTokens are the same beside texts that are being written, which wait for
	// the step.
	besideTokens = 64
)

// scheduler owns the model's forward pass and its cache, and runs the chats.
type scheduler struct {
	m       *Model
	forward *forward
	cache   *cache
	batch   int
	limit   int // of those that wait

	mu      sync.Mutex
	wake    *sync.Cond
	waiting []*chat
	closed  bool
	team    *team // that helpers are to help, if there are seats
	seats   int
	workers sync.WaitGroup

	// The rest is the loop's.
	running []*chat
	pace    *pace
}

func newScheduler(m *Model, w *weights, c *cache, o Options) *scheduler {
	s := &scheduler{m: m, forward: newForward(w), cache: c, batch: o.Batch, limit: o.Queue, pace: newPace(o.Threads)}
	s.wake = sync.NewCond(&s.mu)
	s.workers.Go(s.loop)
	for range o.Threads - 1 {
		s.workers.Go(s.help)
	}
	return s
}

// submit lets a chat wait for its turn.
func (s *scheduler) submit(c *chat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.waiting) >= s.limit:
		return fmt.Errorf("%w: %d", ErrBusy, len(s.waiting))
	}
	s.waiting = append(s.waiting, c)
	s.wake.Broadcast()
	return nil
}

// withdraw takes a chat out that still waits. The loop ends one that runs.
func (s *scheduler) withdraw(c *chat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, c); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		c.err = context.Cause(c.ctx)
		close(c.done)
	}
}

// loop runs steps while there are chats.
func (s *scheduler) loop() {
	own := &scratch{}
	for s.wait() {
		var t *team
		for s.admit(); len(s.running) > 0; s.admit() {
			runs, chats := s.plan()
			rows := 0
			for i := range runs {
				rows += len(runs[i].tokens)
			}
			if size := s.pace.size(rows); t == nil || t.Members != size {
				end(t)
				t = s.call(size)
			}
			began := time.Now()
			s.step(t, own, runs, chats)
			s.pace.note(rows, t.Members, time.Since(began))
		}
		end(t)
	}
}

// wait waits for a chat. It returns false when the scheduler is closed.
func (s *scheduler) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.closed {
		s.wake.Wait()
	}
	return !s.closed
}

// call makes a team of so many members.
func (s *scheduler) call(size int) *team {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.team, s.seats = &team{Members: size}, size-1
	s.wake.Broadcast()
	return s.team
}

// end lets a team go. Each helper has come by now, or comes at once.
func end(t *team) {
	if t != nil {
		t.End()
	}
}

// help takes seats in teams.
func (s *scheduler) help() {
	own := &scratch{}
	for {
		s.mu.Lock()
		for s.seats == 0 && !s.closed {
			s.wake.Wait()
		}
		if s.seats == 0 {
			s.mu.Unlock()
			return
		}
		s.seats--
		t := s.team
		s.mu.Unlock()
		t.Help(own)
	}
}

// admit starts chats that wait, in order, while there is room, and ends those
// whose callers have gone.
func (s *scheduler) admit() {
	s.running = slices.DeleteFunc(s.running, func(c *chat) bool {
		if c.ctx.Err() == nil {
			return false
		}
		c.err = context.Cause(c.ctx)
		s.release(c)
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		for _, c := range s.running {
			c.err = ErrClosed
			s.release(c)
		}
		for _, c := range s.waiting {
			c.err = ErrClosed
			close(c.done)
		}
		s.running, s.waiting = nil, nil
	}
	for len(s.waiting) > 0 && len(s.running) < s.batch {
		c := s.waiting[0]
		n := blocksFor(len(c.r.Prompt) + c.max)
		if !s.cache.promise(n) {
			return
		}
		s.waiting = slices.Delete(s.waiting, 0, 1)
		c.promised = n
		c.table = s.cache.find(c.r.Prompt)
		c.known = len(c.table) * blockTokens
		c.result.Cached = c.known
		c.tokens = append(make([]int32, 0, len(c.r.Prompt)+min(c.max, 1024)), c.r.Prompt...)
		s.running = append(s.running, c)
	}
}

// release lets go of what a chat has, and of its caller.
func (s *scheduler) release(c *chat) {
	s.cache.release(c.table, c.promised)
	c.table = nil
	close(c.done)
}

// step writes one token of each text, and reads a part of the prompts.
func (s *scheduler) step(t *team, own *scratch, runs []run, chats []*chat) {
	logits := s.forward.step(t, own, runs)
	var chosen []*chat
	for i, c := range chats {
		r := &runs[i]
		s.learn(c, r)
		if r.last {
			chosen = append(chosen, c)
		}
	}
	ids := make([]int32, len(chosen))
	t.Do(own, len(chosen), 1, func(own *scratch, from, to int) {
		for i := from; i < to; i++ {
			if w := chosen[i].r.watch; w != nil {
				w(logits[i])
			}
			ids[i] = chosen[i].sampler.next(logits[i], chosen[i].r.Mask, &own.sample)
		}
	})
	for i, c := range chosen {
		if !c.took(s.m, ids[i]) {
			s.running = slices.DeleteFunc(s.running, func(o *chat) bool { return o == c })
			s.release(c)
		}
	}
}

// plan says which tokens a step takes: the last of each text that is being written,
// and of prompts, the oldest first, so many that the others do not wait long.
func (s *scheduler) plan() ([]run, []*chat) {
	var runs []run
	var chats []*chat
	room := promptTokens
	for _, c := range s.running {
		if c.writes() {
			room = besideTokens
		}
	}
	for _, c := range s.running {
		n := len(c.tokens) - c.known
		if !c.writes() {
			n = min(n, room)
			room -= n
		}
		if n == 0 {
			continue
		}
		for len(c.table) < blocksFor(c.known+n) {
			c.table = append(c.table, s.cache.take())
		}
		runs = append(runs, run{
			tokens: c.tokens[c.known : c.known+n], from: c.known, table: c.table, last: c.known+n == len(c.tokens),
		})
		chats = append(chats, c)
	}
	return runs, chats
}

// learn notes that a run's tokens are in the cache.
func (s *scheduler) learn(c *chat, r *run) {
	full := c.known / blockTokens
	c.known += len(r.tokens)
	for i := full; i < c.known/blockTokens; i++ {
		var before *cacheBlock
		if i > 0 {
			before = c.table[i-1]
		}
		c.table[i] = s.cache.learn(before, c.table[i], c.tokens[i*blockTokens:])
	}
}

// close ends all chats, and returns when nothing runs.
func (s *scheduler) close() {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.waiting {
		c.err = ErrClosed
		close(c.done)
	}
	s.waiting = nil
	s.wake.Broadcast()
	s.mu.Unlock()
	s.workers.Wait()
}
