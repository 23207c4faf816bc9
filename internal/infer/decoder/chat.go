package decoder

import (
	"context"
	"sync"
)

// chat is a request on its way.
//
//	waiting ──▶ reading the prompt ──▶ writing ──▶ done
//	   └────────────────┴──────────────────┴────────▲ its context ends, or the model closes
type chat struct {
	ctx context.Context //nolint:containedctx // of the caller, who waits
	r   *Request
	max int // tokens to write

	// The rest, up to done, is the scheduler's.
	// tokens are those of the prompt, and those written; known of them are in the
	// cache, in the blocks of table.
	tokens   []int32
	known    int
	table    []*cacheBlock
	promised int
	sampler  *sampler
	writer   *writer
	result   Result
	err      error
	done     chan struct{} // closed when result and err are set

	mail mailbox
}

// writes reports whether the prompt has been read.
func (c *chat) writes() bool { return c.known >= len(c.r.Prompt) }

// mailbox is what was written and is not yet emitted. A caller who is slow gets
// several pieces as one.
type mailbox struct {
	mu   sync.Mutex
	news chan struct{} // has an element if piece is not empty
	next Piece
}

func (m *mailbox) post(text string) {
	m.mu.Lock()
	m.next.Text += text
	m.next.Tokens++
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() Piece {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.next
	m.next = Piece{}
	return p
}

// took handles the token that was chosen for a chat. It returns false when the
// text has ended.
func (c *chat) took(m *Model, id int32) bool {
	switch {
	case id < 0 && c.r.Mask == nil:
		c.err = ErrNumbers
		return false
	case id < 0:
		return c.finish(FinishMask, 0)
	}
	c.result.Completion++
	if m.Ends(id) {
		return c.finish(FinishStop, 1)
	}
	if c.r.Mask != nil {
		if c.err = c.r.Mask.Accept(id); c.err != nil {
			return false
		}
	}
	c.tokens = append(c.tokens, id)
	c.mail.post(c.writer.write(m.text.Bytes(id)))
	switch {
	case c.writer.stopped:
		c.result.Finish = FinishStop
		return false
	case c.result.Completion == c.max:
		return c.finish(FinishLength, 0)
	}
	return true
}

// finish ends the text with what the writer still held, and a token that is not
// part of it. It returns false.
func (c *chat) finish(why Finish, extra int) bool {
	c.result.Finish = why
	if rest := c.writer.rest(); rest != "" || extra > 0 {
		c.mail.mu.Lock()
		c.mail.next.Text += rest
		c.mail.next.Tokens += extra
		c.mail.mu.Unlock()
	}
	return false
}
