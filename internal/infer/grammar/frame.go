package grammar

// frame is a place in one value. Frames are interned: two that are equal are one.
type frame struct {
	up *frame // where it goes on when the value has ended
	n  *node
	// at is a place in the value, of a kind that depends on it; i and k are counters.
	at   uint8
	ws   uint8 // how much white space there was, see space
	i, k int32
	text string // what there is of a number with bounds
}

// Places in a text, and in a free key.
const (
	textOpen uint8 = iota
	textInside
	textEscape
	textHex1
	textHex2
	textHexD // the second digit after a d, which must not make a surrogate
	textHex3
	textHex4
	textMore1  // one byte of a character is missing
	textMore2  // two are
	textMore3  // three are
	textMoreE0 // as textMore2, the next at least 0xA0
	textMoreED // as textMore2, the next at most 0x9F
	textMoreF0 // as textMore3, the next at least 0x90
	textMoreF4 // as textMore3, the next at most 0x8F
)

// Places in a list and an object.
const (
	listOpen    uint8 = iota
	listFirst         // after [
	listAfter         // after an item
	listNext          // after a comma
	objectOpen        // before {
	objectFirst       // after {
	objectAfter       // after a value
	objectNext        // after a comma
	objectName        // within the name of property i, k bytes of it were read
	objectColon       // after a name
	objectValue       // after a colon
)

// other is the index of a property that is none of the listed.
const other = -1

// start is a frame at the beginning of a value; a union has several.
func (g *Grammar) start(n *node, up *frame, emit func(frame)) {
	switch n.kind {
	case isUnion:
		for _, a := range n.alts {
			g.start(a, up, emit)
		}
	case isObject:
		emit(frame{up: up, n: n, at: objectOpen})
	case isDone, isLiteral, isText, isNumber, isList, isKey:
		emit(frame{up: up, n: n})
	}
}

// closable says whether the value may end here without a byte of its own.
func (f *frame) closable() bool {
	switch f.n.kind {
	case isNumber:
		if f.n.number.bounded() {
			return f.text != "" && f.at != numPoint && f.n.number.leastMore(f.text) == 0
		}
		return left(int(f.at)) == 0
	case isLiteral:
		return f.n.literals.steps[f.i].ends
	case isDone, isText, isList, isObject, isKey, isUnion:
	}
	return false
}

// step emits where a byte leads.
func (g *Grammar) step(f *frame, b byte, emit func(frame)) {
	if f.closable() {
		g.step(f.up, b, emit)
	}
	switch f.n.kind {
	case isLiteral:
		if next, ok := f.n.literals.steps[f.i].next[b]; ok {
			to := *f
			to.i = next
			g.value(&to, emit)
		}
	case isNumber:
		stepNumber(f, b, emit)
	case isText, isKey:
		stepText(f, b, emit)
	case isList:
		g.stepList(f, b, emit)
	case isObject:
		g.stepObject(f, b, emit)
	case isDone, isUnion:
	}
}

// value emits a literal; one that can only end has ended.
func (*Grammar) value(f *frame, emit func(frame)) {
	if s := &f.n.literals.steps[f.i]; s.ends && len(s.next) == 0 {
		emit(*f.up)
		return
	}
	emit(*f)
}

func stepNumber(f *frame, b byte, emit func(frame)) {
	spec := &f.n.number
	phase, count, ok := spec.next(int(f.at), int(f.k), b)
	if !ok {
		return
	}
	to := *f
	to.at, to.k = uint8(phase), int32(count) //nolint:gosec // both are small
	if spec.bounded() {
		to.text += string(b)
		if spec.leastMore(to.text) >= infinite {
			return
		}
		if spec.open(to.text) {
			to.n, to.text = spec.free, ""
		}
	}
	emit(to)
}

// space emits the frame after white space, of which there is little: one space, or a line
// break and an indentation. A model that writes nothing else would never end.
func space(f *frame, b byte, emit func(frame)) {
	const none, one, line, deepest = 0, 1, 2, 34
	to := *f
	switch {
	case f.ws == none && b == ' ':
		to.ws = one
	case f.ws == none && b == '\n':
		to.ws = line
	case f.ws >= line && f.ws < deepest && (b == ' ' || b == '\t'):
		to.ws++
	default:
		return
	}
	emit(to)
}

// moved is the frame at another place of its value.
func (f *frame) moved(at uint8) frame {
	to := *f
	to.at, to.ws = at, 0
	return to
}

func (g *Grammar) stepList(f *frame, b byte, emit func(frame)) {
	n := f.n
	if f.at == listOpen {
		if b == '[' {
			emit(f.moved(listFirst))
		}
		return
	}
	space(f, b, emit)
	i := int(f.i)
	if b == ']' && f.at != listNext && i >= n.min {
		emit(*f.up)
	}
	if f.at == listAfter {
		if b == ',' && n.mayHave(i) {
			emit(f.moved(listNext))
		}
		return
	}
	if !n.mayHave(i) {
		return
	}
	after := f.moved(listAfter)
	if n.most >= 0 || i < max(n.min, len(n.items)) {
		after.i++ // beyond that it does not matter how many there were
	}
	g.enter(n.item(i), &after, b, emit)
}

// enter begins a value with its first byte.
func (g *Grammar) enter(n *node, after *frame, b byte, emit func(frame)) {
	up := g.intern(*after)
	g.start(n, up, func(f frame) { g.step(&f, b, emit) })
}

func (g *Grammar) stepObject(f *frame, b byte, emit func(frame)) {
	n := f.n
	switch f.at {
	case objectOpen:
		if b == '{' {
			emit(f.moved(objectFirst))
		}
		return
	case objectName:
		text := n.props[f.i].text
		if text[f.k] != b {
			return
		}
		to := *f
		if to.k++; int(to.k) == len(text) {
			to = f.moved(objectColon)
			to.k = 0
		}
		emit(to)
		return
	case objectColon:
		if b == ':' {
			emit(f.moved(objectValue))
		}
		return
	}
	space(f, b, emit)
	if f.at == objectValue {
		after := f.moved(objectAfter)
		value := n.rest
		if f.i == other {
			after.i = int32(len(n.props)) //nolint:gosec // schemas are bounded
		} else {
			value = n.props[f.i].value
			after.i++
		}
		g.enter(value, &after, b, emit)
		return
	}
	i := int(f.i)
	if b == '}' && f.at != objectNext && n.tail[i] == 0 {
		emit(*f.up)
	}
	if f.at == objectAfter {
		if b == ',' && n.next[i] < infinite {
			emit(f.moved(objectNext))
		}
		return
	}
	if b == '"' {
		g.names(f, emit)
	}
}

// names emits a frame within each name that may come.
func (g *Grammar) names(f *frame, emit func(frame)) {
	n := f.n
	to, all := n.candidates(int(f.i))
	for j := int(f.i); j < to; j++ {
		name := f.moved(objectName)
		name.i, name.k = int32(j), 1 //nolint:gosec // schemas are bounded
		emit(name)
	}
	if all && n.rest != nil {
		after := f.moved(objectColon)
		after.i = other
		emit(frame{up: g.intern(after), n: n.key, at: textInside})
	}
}

// least is how many bytes it takes at least to end the value from here.
func (f *frame) least() int {
	n := f.n
	switch n.kind {
	case isLiteral:
		return n.literals.steps[f.i].least
	case isNumber:
		if n.number.bounded() {
			return n.number.leastMore(f.text)
		}
		return left(int(f.at))
	case isText, isKey:
		return f.leastText()
	case isList:
		i := int(f.i)
		switch f.at {
		case listOpen:
			return n.least
		case listAfter:
			return 1 + n.leastFrom(i)
		case listNext:
			return n.item(i).least + 1 + n.leastFrom(i+1)
		}
		return 1 + max(0, n.leastFrom(i)-1)
	case isObject:
		return f.leastObject()
	case isDone, isUnion:
	}
	return 0
}

func (f *frame) leastObject() int {
	n, i := f.n, int(f.i)
	value, after := n.rest, 0
	if i != other && (f.at == objectName || f.at == objectColon || f.at == objectValue) {
		value, after = n.props[i].value, n.tail[i+1]
	}
	switch f.at {
	case objectOpen:
		return n.least
	case objectFirst:
		return 1 + max(0, n.tail[i]-1)
	case objectAfter:
		return 1 + n.tail[i]
	case objectNext:
		return 1 + n.next[i]
	case objectName:
		return len(n.props[i].text) - int(f.k) + 1 + value.least + after + 1
	case objectColon:
		return 1 + value.least + after + 1
	}
	return value.least + after + 1
}
