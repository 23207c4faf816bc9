package wire

// HostKey returns the name in an authority in the form in which hosts are looked
// up: lower case, without port and without the dot at the end. It remembers the
// last answer, because most connections ask for one host only; so it must not be
// called by two goroutines at once. The result is no view.
func (p *Peer) HostKey(authority string) string {
	if authority == p.lastHost {
		return p.lastKey
	}
	p.lastHost = string(append([]byte(nil), authority...))
	p.lastKey = hostKey(p.lastHost)
	return p.lastKey
}

func hostKey(authority string) string {
	end := len(authority)
	for i := end - 1; i >= 0 && authority[i] != ']'; i-- {
		if authority[i] == ':' {
			end = i
			break
		}
	}
	if end > 0 && authority[end-1] == '.' {
		end--
	}
	name := authority[:end]
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return lower(name)
		}
	}
	return name
}

func lower(s string) string {
	b := []byte(s)
	for i, ch := range b {
		if 'A' <= ch && ch <= 'Z' {
			b[i] = ch | 0x20
		}
	}
	return string(b)
}
