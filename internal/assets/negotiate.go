package assets

import (
	"strings"
)

// encoding is a content coding, in the order of preference.
type encoding int

const (
	identity encoding = iota
	brotliCoding
	zstdCoding
	gzipCoding
	numEncodings
)

func (e encoding) String() string {
	return [numEncodings]string{"identity", "br", "zstd", "gzip"}[e]
}

// acceptance is the weight of each encoding in thousandths, 0 for those not wanted.
type acceptance [numEncodings]int

// parseAcceptEncoding reads an Accept-Encoding field (RFC 9110, 12.5.3). The weight of identity is 0
// unless it is asked for; it is what is left when nothing else is wanted or there.
func parseAcceptEncoding(field string) acceptance {
	a := acceptance{identity: 0, brotliCoding: -1, zstdCoding: -1, gzipCoding: -1}
	star := 0
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		name, params, _ := strings.Cut(item, ";")
		q := weight(params)
		switch name = strings.Trim(name, " \t"); {
		case strings.EqualFold(name, "br"):
			a[brotliCoding] = q
		case strings.EqualFold(name, "zstd"):
			a[zstdCoding] = q
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			a[gzipCoding] = q
		case strings.EqualFold(name, "identity"):
			a[identity] = q
		case name == "*":
			star = q
		}
	}
	for e := range a {
		if a[e] < 0 {
			a[e] = star
		}
	}
	return a
}

// weight reads the q parameter. Without one, or with one that is malformed, it is 1000 or 0.
func weight(params string) int {
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(p, "=")
		if name = strings.Trim(name, " \t"); name != "q" && name != "Q" {
			continue
		}
		return qvalue(strings.Trim(value, " \t"))
	}
	return 1000
}

func qvalue(s string) int {
	if s == "" || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	q, unit := int(s[0]-'0')*1000, 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		q += int(s[i]-'0') * unit
		unit /= 10
	}
	return min(q, 1000)
}

// best returns the encoding of greatest weight and takes it out of the running.
func (a *acceptance) best() encoding {
	top := identity
	for e := brotliCoding; e < numEncodings; e++ {
		if a[e] > 0 && a[e] >= a[identity] && (top == identity || a[e] > a[top]) {
			top = e
		}
	}
	if top != identity {
		a[top] = 0
	}
	return top
}

// listsTag reports whether a list of entity tags (RFC 9110, 8.8.3) holds the tag of hash by weak
// comparison, or is "*".
func listsTag(list, hash string) bool { return findTag(list, hash) != noTag }

// listsStrongTag is listsTag by strong comparison.
func listsStrongTag(list, hash string) bool { return findTag(list, hash) == strongTag }

type tagMatch int

const (
	noTag tagMatch = iota
	weakTag
	strongTag
)

func findTag(list, hash string) tagMatch {
	if strings.Trim(list, " \t") == "*" {
		return strongTag
	}
	found := noTag
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return found
		}
		kind := strongTag
		if strings.HasPrefix(list, "W/") {
			kind, list = weakTag, list[2:]
		}
		if list == "" || list[0] != '"' {
			return found
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return found
		}
		if list[1:1+end] == hash {
			found = max(found, kind)
		}
		list = list[end+2:]
	}
}

type rangeKind int

const (
	// The answer is the whole: there is no range, or none that we serve.
	wholeRange rangeKind = iota
	partRange
	unsatisfiable
)

// parseRange reads a Range field (RFC 9110, 14.2) for a content of size bytes. Only a single range of
// bytes is served. Several, other units and malformed ones give the whole content, which the RFC
// allows and which keeps a list of overlapping ranges from multiplying the work.
func parseRange(field string, size int64) (start, length int64, kind rangeKind) {
	if len(field) < 6 || !strings.EqualFold(field[:6], "bytes=") || strings.Contains(field, ",") || size == 0 {
		return 0, size, wholeRange
	}
	from, to, ok := strings.Cut(strings.Trim(field[6:], " \t"), "-")
	if !ok {
		return 0, size, wholeRange
	}
	if from == "" {
		n, ok := parseOffset(to)
		switch {
		case !ok:
			return 0, size, wholeRange
		case n == 0:
			return 0, 0, unsatisfiable
		}
		n = min(n, size)
		return size - n, n, partRange
	}
	start, ok = parseOffset(from)
	if !ok {
		return 0, size, wholeRange
	}
	last := size - 1
	if to != "" {
		end, ok := parseOffset(to)
		if !ok || end < start {
			return 0, size, wholeRange
		}
		last = min(last, end)
	}
	if start >= size {
		return 0, 0, unsatisfiable
	}
	return start, last - start + 1, partRange
}

// parseOffset reads a decimal number. One that is too large becomes the largest there is.
func parseOffset(s string) (int64, bool) {
	const limit = 1 << 58 // Ten times that is no overflow yet.
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), limit)
	}
	return n, s != ""
}
