package grammar

import "unicode/utf8"

func (f *frame) leastText() int {
	quotes := 1
	missing := max(0, f.n.min-int(f.i))
	switch f.at {
	case textOpen:
		return 2 + missing
	case textInside:
	case textEscape, textHex4, textMore1:
		quotes++
	case textHex3, textMore2, textMoreE0, textMoreED:
		quotes += 2
	case textHex2, textHexD, textMore3, textMoreF0, textMoreF4:
		quotes += 3
	case textHex1:
		quotes += 4
	}
	return quotes + missing
}

// begins says where the first byte of a character that is not ASCII leads.
func begins(b byte) (at uint8, ok bool) {
	switch {
	case b >= 0xC2 && b <= 0xDF:
		return textMore1, true
	case b == 0xE0:
		return textMoreE0, true
	case b == 0xED:
		return textMoreED, true
	case b >= 0xE1 && b <= 0xEF:
		return textMore2, true
	case b == 0xF0:
		return textMoreF0, true
	case b >= 0xF1 && b <= 0xF3:
		return textMore3, true
	case b == 0xF4:
		return textMoreF4, true
	}
	return 0, false
}

// continues says where the next byte of a character leads.
func continues(at, b uint8) (next uint8, ok bool) {
	low, high := uint8(0x80), uint8(0xBF)
	next = textMore1
	switch at {
	case textMore1:
		next = textInside
	case textMoreE0:
		low = 0xA0
	case textMoreED:
		high = 0x9F
	case textMore3:
		next = textMore2
	case textMoreF0:
		low, next = 0x90, textMore2
	case textMoreF4:
		high, next = 0x8F, textMore2
	}
	return next, b >= low && b <= high
}

func stepText(f *frame, b byte, emit func(frame)) {
	to := *f
	switch {
	case f.at == textOpen:
		if b == '"' {
			to.at = textInside
			emit(to)
		}
	case f.at == textInside:
		stepInside(f, b, emit)
	case f.at == textEscape:
		switch b {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			to.at = textInside
			emit(to)
		case 'u':
			to.at = textHex1
			emit(to)
		}
	case f.at >= textHex1 && f.at <= textHex4:
		stepHex(f, b, emit)
	default:
		next, ok := continues(f.at, b)
		if ok {
			to.at = next
			to.follow(b)
			emit(to)
		}
	}
}

// stepHex reads the digits of \u. Those of surrogates are not taken: alone they are no
// character, and what they would make in pairs can be written as it is.
func stepHex(f *frame, b byte, emit func(frame)) {
	digit := b >= '0' && b <= '9'
	letter := b | ' '
	if !digit && (letter < 'a' || letter > 'f') {
		return
	}
	to := *f
	switch f.at {
	case textHex1:
		to.at = textHex2
		if letter == 'd' {
			to.at = textHexD
		}
	case textHex2:
		to.at = textHex3
	case textHexD:
		if !digit || b > '7' {
			return
		}
		to.at = textHex3
	case textHex3:
		to.at = textHex4
	default:
		to.at = textInside
	}
	emit(to)
}

func stepInside(f *frame, b byte, emit func(frame)) {
	n := f.n
	to := *f
	switch {
	case b == '"':
		if n.kind == isKey && f.k >= 0 && n.literals.steps[f.k].ends || int(f.i) < n.min {
			return
		}
		emit(*f.up)
		return
	case n.most >= 0 && int(f.i) >= n.most || b < ' ':
		return
	case b == '\\':
		if n.kind == isKey {
			return // a name in disguise would be another property's
		}
		to.at = textEscape
	case b >= utf8.RuneSelf:
		at, ok := begins(b)
		if !ok {
			return
		}
		to.at = at
		to.follow(b)
	default:
		to.follow(b)
	}
	if n.most >= 0 || int(f.i) < n.min {
		to.i++
	}
	emit(to)
}

// follow goes along the names that a key must not be.
func (f *frame) follow(b byte) {
	if f.n.kind != isKey || f.k < 0 {
		return
	}
	next, ok := f.n.literals.steps[f.k].next[b]
	f.k = other
	if ok {
		f.k = next
	}
}
