package rpcrelay

import (
	"context"
	"slices"
)

// fromCaller handles a message of the caller. An error is a breach of the
// protocol. The session's lock is held.
func (s *session) fromCaller(ctx context.Context, m *message) error {
	root, err := m.root()
	if err != nil {
		return err
	}
	body, err := root.child(messagePtr)
	if err != nil {
		return err
	}
	switch root.u16(messageTag) {
	case tagBootstrap:
		id := body.u32(fieldID)
		if s.boots[id] || s.questions[id] != nil || len(s.boots) >= maxQuestions {
			return errBroken
		}
		s.boots[id] = true
		s.down.buf = appendHosted(s.down.buf, id, hostedBootstrap)
		return nil
	case tagCall:
		return s.callFromCaller(ctx, m, body)
	case tagReturn:
		return s.returnFromCaller(m, body)
	case tagFinish:
		return s.finishFromCaller(m, body)
	case tagResolve:
		return s.resolveFromCaller(m, body)
	case tagRelease:
		return s.releaseFromCaller(m, body)
	case tagDisembargo:
		return s.disembargoFromCaller(m, body)
	}
	// Abort, what peers of another level send, and what nobody should send.
	return errBroken
}

// send queues a message for the link's process.
func (l *link) send(m *message) {
	if l.dead == nil {
		l.out.buf = append(l.out.buf, m.raw...)
	}
}

// callerTarget finds the link of a target that the caller names and translates
// the target. A nil link stands for the bootstrap object.
func (s *session) callerTarget(t node) (*link, error) {
	switch t.u16(targetTag) {
	case targetImported:
		id := t.u32(fieldID)
		if id == hostedBootstrap {
			return nil, nil // documented above
		}
		e := s.exports.get(id)
		if e == nil {
			return nil, errBroken
		}
		return e.link, t.set32(fieldID, e.remote)
	case targetAnswer:
		a, err := t.child(targetPtr)
		if err != nil {
			return nil, err
		}
		id := a.u32(fieldID)
		if s.boots[id] {
			return nil, nil // documented above
		}
		if q := s.questions[id]; q != nil {
			return q.link, nil
		}
	}
	return nil, errBroken
}

func (s *session) callFromCaller(ctx context.Context, m *message, call node) error {
	id := call.u32(fieldID)
	if s.questions[id] != nil || s.boots[id] || len(s.questions) >= maxQuestions {
		return errBroken
	}
	target, err := call.child(callTarget)
	if err != nil {
		return err
	}
	l, err := s.callerTarget(target)
	if err != nil {
		return err
	}
	q := &question{link: l, returned: call.u8(callHints)&hintOnlyPipeline != 0}
	if l == nil {
		if q.link, q.event = s.eventLink(ctx); q.link.dead == nil {
			if err := q.link.aim(target); err != nil {
				return err
			}
		}
		l = q.link
	}
	s.questions[id] = q
	l.open++
	if l.dead != nil {
		if !q.returned {
			q.returned = true
			s.down.buf = appendFailure(s.down.buf, id, l.dead)
		}
		return nil
	}
	params, err := call.child(callParams)
	if err != nil {
		return err
	}
	if q.params, err = s.capsFromCaller(l, params, true); err != nil {
		return err
	}
	l.send(m)
	return nil
}

// aim makes a call one to the process's bootstrap object.
func (l *link) aim(target node) error {
	at := target.place(fieldID)
	if at < 0 {
		return errBroken
	}
	boot := uint32(0)
	if l.ready {
		boot = l.boot // set by then, and not written again
	} else {
		l.patches = append(l.patches, len(l.out.buf)+at)
	}
	if err := target.set16(targetTag, targetImported); err != nil {
		return err
	}
	return target.set32(fieldID, boot)
}

// capsFromCaller translates the capabilities in a payload for a link. It counts
// the caller's exports among them if they are kept, and returns these.
func (s *session) capsFromCaller(l *link, payload node, keep bool) (exports []uint32, err error) { //nolint:revive // a state of the question
	err = payload.caps(func(c node) error {
		id, err := s.capFromCaller(l, c)
		if err == nil && id >= 0 && keep {
			exports = append(exports, uint32(id)) //nolint:gosec // a uint32
			err = l.imported(uint32(id))          //nolint:gosec // a uint32
		}
		return err
	})
	return exports, err
}

// imported counts a reference to an export of the caller.
func (l *link) imported(id uint32) error {
	if len(l.imports) >= maxExports {
		return errBroken
	}
	l.imports[id]++
	return nil
}

// capFromCaller translates one capability and returns its number if it is an
// export of the caller, else -1.
func (s *session) capFromCaller(l *link, c node) (int64, error) {
	broken := func() (int64, error) {
		if err := c.set16(capTag, capSenderHosted); err != nil {
			return -1, err
		}
		return -1, c.set32(capID, brokenExport)
	}
	switch c.u16(capTag) {
	case capNone:
		return -1, nil
	case capSenderHosted, capSenderPromise:
		return int64(c.u32(capID)), nil
	case capReceiverHosted:
		e := s.exports.get(c.u32(capID))
		if e == nil {
			return -1, errBroken
		}
		if e.link != l {
			return broken() // of another process, or the bootstrap object
		}
		return -1, c.set32(capID, e.remote)
	case capReceiverAnswer:
		a, err := c.child(capPtr)
		if err != nil {
			return -1, err
		}
		if q := s.questions[a.u32(fieldID)]; q == nil || q.link != l {
			return broken()
		}
		return -1, nil
	}
	return -1, errBroken
}

func (s *session) returnFromCaller(m *message, ret node) error {
	id := ret.u32(fieldID)
	b := s.calls.get(id)
	if b == nil || b.returned {
		return nil // the answer to what was only for pipelining
	}
	b.returned = true
	l := b.link
	if l.dead != nil {
		if b.finished {
			s.dropCall(id, b)
		}
		return nil
	}
	if ret.u8(returnBits)&1 == 0 {
		for _, p := range b.params {
			if err := s.unref(p, 1); err != nil {
				return err
			}
		}
		b.params = nil
	}
	if err := ret.set32(fieldID, b.remote); err != nil {
		return err
	}
	elsewhere := false
	switch ret.u16(returnTag) {
	case returnResults:
		payload, err := ret.child(returnPtr)
		if err != nil {
			return err
		}
		if b.results, err = s.capsFromCaller(l, payload, !b.finished || !b.release); err != nil {
			return err
		}
	case returnTakeOther:
		q := s.questions[ret.u32(returnOther)]
		elsewhere = q == nil || q.link != l
	case returnThirdParty:
		return errBroken
	}
	if elsewhere {
		l.out.buf = appendFailure(l.out.buf, b.remote, movedOn())
	} else {
		l.send(m)
	}
	if b.finished || ret.u8(returnBits)&2 != 0 {
		s.dropCall(id, b)
	}
	return nil
}

// movedOn says why a capability or a result of one process is none of another.
func movedOn() *failure {
	return newFailure("This stub belongs to a version of the Worker that was replaced meanwhile. Get a new one.")
}

func (s *session) finishFromCaller(m *message, fin node) error {
	id := fin.u32(fieldID)
	if s.boots[id] {
		delete(s.boots, id)
		return nil
	}
	q := s.questions[id]
	if q == nil || q.finished {
		return nil // it may come for a question that needed none
	}
	q.finished = true
	q.link.send(m)
	if fin.u8(finishBits)&1 == 0 {
		q.release = true
		results := q.results
		q.results = nil
		for _, r := range results {
			if err := s.unref(r, 1); err != nil {
				return err
			}
		}
		if q.returned && q.event && len(results) > 0 {
			q.event = false // its dispatcher counted
		}
	}
	if q.returned {
		s.dropQuestion(id, q)
	}
	return nil
}

// resolveFromCaller passes on what a promise of the caller came to, to every
// process that holds it. The caller counts one reference to the outcome.
func (s *session) resolveFromCaller(m *message, res node) error {
	id := res.u32(fieldID)
	var to []*link
	for l := range s.links {
		if l.imports[id] > 0 {
			to = append(to, l)
		}
	}
	isCap := res.u16(resolveTag) == resolveCap
	c, err := res.child(resolvePtr)
	if err != nil {
		return err
	}
	if tag := c.u16(capTag); isCap && (tag == capSenderHosted || tag == capSenderPromise) {
		switch own := c.u32(capID); len(to) {
		case 0:
			s.down.buf = appendRelease(s.down.buf, own, 1)
		case 1:
		default:
			s.excess[own] += uint32(len(to) - 1) //nolint:gosec // few links
		}
	}
	for i, l := range to {
		if !isCap {
			l.send(m)
			continue
		}
		if i+1 < len(to) { // the translation differs from link to link
			if err := s.resolveFor(l, slices.Clone(m.raw)); err != nil {
				return err
			}
			continue
		}
		if err := s.resolveFor(l, m.raw); err != nil {
			return err
		}
	}
	return nil
}

// resolveFor passes the resolution on to one link.
func (s *session) resolveFor(l *link, raw []byte) error {
	var m message
	if _, _, err := m.parse(slices.Clip(raw)); err != nil {
		return err
	}
	root, err := m.root()
	if err != nil {
		return err
	}
	res, err := root.child(messagePtr)
	if err != nil {
		return err
	}
	c, err := res.child(resolvePtr)
	if err != nil {
		return err
	}
	id, err := s.capFromCaller(l, c)
	if err != nil {
		return err
	}
	if id >= 0 {
		if err := l.imported(uint32(id)); err != nil { //nolint:gosec // a uint32
			return err
		}
	}
	l.send(&m)
	return nil
}

func (s *session) releaseFromCaller(m *message, rel node) error {
	id, count := rel.u32(fieldID), rel.u32(releaseCount)
	if id == hostedBootstrap {
		return nil
	}
	e := s.exports.get(id)
	if e == nil || e.refs < count {
		return errBroken
	}
	if err := rel.set32(fieldID, e.remote); err != nil {
		return err
	}
	e.link.send(m)
	return s.unref(id, count)
}

func (s *session) disembargoFromCaller(m *message, dis node) error {
	if dis.u16(disembargoTag) >= disembargoThirdParty {
		return errBroken
	}
	target, err := dis.child(disembargoTarget)
	if err != nil {
		return err
	}
	l, err := s.callerTarget(target)
	if err != nil {
		return err
	}
	if l == nil {
		return errBroken // the bootstrap object never moves
	}
	l.send(m)
	return nil
}

// releaseToCaller gives back references to an export of the caller, less those
// that the caller does not know of.
func (s *session) releaseToCaller(id, n uint32) {
	if x := min(s.excess[id], n); x > 0 {
		if s.excess[id] -= x; s.excess[id] == 0 {
			delete(s.excess, id)
		}
		n -= x
	}
	if n > 0 {
		s.down.buf = appendRelease(s.down.buf, id, n)
	}
}
