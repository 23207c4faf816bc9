package rpcrelay

// fromProcess handles a message of the link's process. An error is a breach of
// the protocol. The session's lock is held.
func (l *link) fromProcess(m *message) error {
	root, err := m.root()
	if err != nil {
		return err
	}
	body, err := root.child(messagePtr)
	if err != nil {
		return err
	}
	switch root.u16(messageTag) {
	case tagCall:
		return l.callFromProcess(m, body)
	case tagReturn:
		return l.returnFromProcess(m, body)
	case tagFinish:
		return l.finishFromProcess(m, body)
	case tagResolve:
		return l.resolveFromProcess(m, body)
	case tagRelease:
		return l.releaseFromProcess(body)
	case tagDisembargo:
		return l.disembargoFromProcess(m, body)
	}
	return errBroken
}

// send queues a message for the caller.
func (s *session) send(m *message) { s.down.buf = append(s.down.buf, m.raw...) }

// processTarget checks and translates a target that the process names. It
// reports whether that is the capability that works no more.
func (l *link) processTarget(t node) (broken bool, err error) {
	switch t.u16(targetTag) {
	case targetImported:
		id := t.u32(fieldID)
		if id == brokenExport {
			return true, nil
		}
		if l.imports[id] == 0 {
			return false, errBroken
		}
		return false, nil
	case targetAnswer:
		a, err := t.child(targetPtr)
		if err != nil {
			return false, err
		}
		return false, l.translate(a, fieldID)
	}
	return false, errBroken
}

// translate replaces the process's number of one of its questions by ours.
func (l *link) translate(n node, at int) error {
	id, ok := l.backs[n.u32(at)]
	if !ok {
		return errBroken
	}
	return n.set32(at, id)
}

func (l *link) callFromProcess(m *message, call node) error {
	s := l.s
	remote := call.u32(fieldID)
	if _, ok := l.backs[remote]; ok || s.calls.used >= maxQuestions {
		return errBroken
	}
	target, err := call.child(callTarget)
	if err != nil {
		return err
	}
	broken, err := l.processTarget(target)
	if err != nil {
		return err
	}
	params, err := call.child(callParams)
	if err != nil {
		return err
	}
	if broken {
		return l.refuseCall(remote, params)
	}
	b := &backCall{link: l, remote: remote, returned: call.u8(callHints)&hintOnlyPipeline != 0}
	if b.params, err = l.capsFromProcess(params, false); err != nil {
		return err
	}
	id := s.calls.add(b)
	l.backs[remote] = id
	if err := call.set32(fieldID, id); err != nil {
		return err
	}
	s.send(m)
	return nil
}

// refuseCall answers a call on a capability that works no more. Capabilities in
// its parameters are given back by the answer.
func (l *link) refuseCall(remote uint32, params node) error {
	err := params.caps(func(c node) error {
		if tag := c.u16(capTag); tag == capSenderHosted || tag == capSenderPromise {
			l.out.buf = appendRelease(l.out.buf, c.u32(capID), 1)
		}
		return nil
	})
	l.out.buf = appendFailure(l.out.buf, remote, movedOn())
	return err
}

// capsFromProcess translates the capabilities in a payload for the caller and
// returns our numbers of the process's own.
func (l *link) capsFromProcess(payload node, event bool) (exports []uint32, err error) { //nolint:revive // a property of the question
	err = payload.caps(func(c node) error {
		id, err := l.capFromProcess(c)
		if err == nil && id >= 0 {
			exports = append(exports, uint32(id)) //nolint:gosec // a uint32
			if event && len(exports) == 1 {
				l.s.exports.get(exports[0]).event = true
			}
		}
		return err
	})
	return exports, err
}

func (l *link) capFromProcess(c node) (int64, error) {
	switch tag := c.u16(capTag); tag {
	case capNone:
		return -1, nil
	case capSenderHosted, capSenderPromise:
		id, err := l.exported(c.u32(capID), tag == capSenderPromise)
		if err != nil {
			return -1, err
		}
		return int64(id), c.set32(capID, id)
	case capReceiverHosted:
		id := c.u32(capID)
		if id == brokenExport {
			return -1, c.set16(capTag, capNone)
		}
		if l.imports[id] == 0 {
			return -1, errBroken
		}
		return -1, nil
	case capReceiverAnswer:
		a, err := c.child(capPtr)
		if err != nil {
			return -1, err
		}
		return -1, l.translate(a, fieldID)
	}
	return -1, errBroken
}

// exported returns our number of a capability of the process, with one more
// reference.
func (l *link) exported(remote uint32, promise bool) (uint32, error) {
	s := l.s
	if id, ok := l.byRemote[remote]; ok {
		e := s.exports.get(id)
		if e.refs++; e.refs == 0 {
			return 0, errBroken
		}
		return id, nil
	}
	if s.exports.used >= maxExports {
		return 0, errBroken
	}
	id := s.exports.add(&export{link: l, remote: remote, refs: 1, promise: promise})
	l.byRemote[remote] = id
	return id, nil
}

func (l *link) returnFromProcess(m *message, ret node) error {
	s := l.s
	id := ret.u32(fieldID)
	q := s.questions[id]
	if q == nil || q.link != l || q.returned {
		if q != nil && q.link != l {
			return errBroken
		}
		return nil // the answer to what was only for pipelining
	}
	if ret.u8(returnBits)&1 == 0 {
		for _, p := range q.params {
			if err := l.unimport(p, 1); err != nil {
				return err
			}
		}
		q.params = nil
	}
	switch ret.u16(returnTag) {
	case returnResults:
		payload, err := ret.child(returnPtr)
		if err != nil {
			return err
		}
		if q.finished && q.release {
			// The process gives them back itself, and the caller does not look.
			err = payload.caps(func(c node) error { return c.set16(capTag, capNone) })
		} else {
			q.results, err = l.capsFromProcess(payload, q.event)
		}
		if err != nil {
			return err
		}
	case returnTakeOther:
		if err := l.translate(ret, returnOther); err != nil {
			return err
		}
	case returnThirdParty:
		return errBroken
	}
	q.returned = true
	s.send(m)
	if q.finished || ret.u8(returnBits)&2 != 0 {
		s.dropQuestion(id, q)
	}
	return nil
}

func (l *link) finishFromProcess(m *message, fin node) error {
	s := l.s
	id, ok := l.backs[fin.u32(fieldID)]
	if !ok {
		return nil // it may come for a question that needed none
	}
	b := s.calls.get(id)
	if b.finished {
		return errBroken
	}
	b.finished = true
	if err := fin.set32(fieldID, id); err != nil {
		return err
	}
	if fin.u8(finishBits)&1 == 0 {
		b.release = true
		for _, r := range b.results {
			if err := l.unimport(r, 1); err != nil {
				return err
			}
		}
		b.results = nil
	}
	s.send(m)
	if b.returned {
		s.dropCall(id, b)
	}
	return nil
}

func (l *link) resolveFromProcess(m *message, res node) error {
	s := l.s
	id, held := l.byRemote[res.u32(fieldID)]
	isCap := res.u16(resolveTag) == resolveCap
	c, err := res.child(resolvePtr)
	if err != nil {
		return err
	}
	if !held { // the caller has given the promise back meanwhile
		if tag := c.u16(capTag); isCap && (tag == capSenderHosted || tag == capSenderPromise) {
			l.out.buf = appendRelease(l.out.buf, c.u32(capID), 1)
		}
		return nil
	}
	s.exports.get(id).promise = false
	if err := res.set32(fieldID, id); err != nil {
		return err
	}
	if isCap {
		if _, err := l.capFromProcess(c); err != nil {
			return err
		}
	}
	s.send(m)
	return nil
}

func (l *link) releaseFromProcess(rel node) error {
	id, count := rel.u32(fieldID), rel.u32(releaseCount)
	if id == brokenExport {
		return nil
	}
	if err := l.unimport(id, count); err != nil {
		return err
	}
	l.s.releaseToCaller(id, count)
	return nil
}

func (l *link) disembargoFromProcess(m *message, dis node) error {
	if dis.u16(disembargoTag) >= disembargoThirdParty {
		return errBroken
	}
	target, err := dis.child(disembargoTarget)
	if err != nil {
		return err
	}
	broken, err := l.processTarget(target)
	if err != nil || broken {
		return err
	}
	l.s.send(m)
	return nil
}
