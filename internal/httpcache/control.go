package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAge is the longest time that a number of seconds is taken for: RFC 9111,
// section 1.2.2, wants 2^31 at least, and a Duration holds it.
const maxAge = 1 << 31

// control is what the Cache-Control fields of a response say, as far as it
// matters to a shared cache.
type control struct {
	present bool
	noStore bool
	// private and noCache hold for the whole response; with field names they hold
	// for these fields only, of which Set-Cookie alone matters.
	private, noCache bool
	dropCookie       bool
	public           bool
	mustRevalidate   bool
	sMaxAge, maxAge  age
}

// age is a number of seconds, if there is one.
type age struct {
	set     bool
	seconds int64
}

func (a age) duration() time.Duration { return time.Duration(a.seconds) * time.Second }

// targeted returns the fields to read, the most specific first: the first that
// is there speaks alone (RFC 9213, section 2.2).
func targeted() [3]string {
	return [3]string{"Cloudflare-Cdn-Cache-Control", "Cdn-Cache-Control", "Cache-Control"}
}

func parseControl(h http.Header) control {
	for _, name := range targeted() {
		if values := h[name]; len(values) > 0 {
			c := control{present: true}
			for _, v := range values {
				c.read(v)
			}
			return c
		}
	}
	return control{}
}

// read adds the directives of one field value. What it does not know it skips;
// of a directive that comes twice the stricter counts (RFC 9111, section 4.2.1).
func (c *control) read(v string) {
	for v != "" {
		var name, arg string
		var hasArg bool
		name, arg, hasArg, v = nextDirective(v)
		switch name {
		case "no-store":
			c.noStore = true
		case "private":
			c.private = c.private || !hasArg
			c.dropCookie = c.dropCookie || hasArg && listHas(arg, "set-cookie")
		case "no-cache":
			c.noCache = c.noCache || !hasArg
			c.dropCookie = c.dropCookie || hasArg && listHas(arg, "set-cookie")
		case "public":
			c.public = true
		case "must-revalidate", "proxy-revalidate":
			c.mustRevalidate = true
		case "s-maxage":
			c.sMaxAge.lower(arg)
		case "max-age":
			c.maxAge.lower(arg)
		}
	}
}

// lower takes a number of seconds unless a smaller one is there. One that is not
// a number counts as 0: stale (RFC 9111, section 4.2.1).
func (a *age) lower(arg string) {
	n := int64(0)
	if arg != "" && strings.Trim(arg, "0123456789") == "" {
		var err error
		if n, err = strconv.ParseInt(arg, 10, 64); err != nil || n > maxAge {
			n = maxAge
		}
	}
	if !a.set || n < a.seconds {
		*a = age{true, n}
	}
}

// nextDirective takes a directive from the front of a list. The name is in lower
// case; an argument may be a token or a quoted string.
func nextDirective(v string) (name, arg string, hasArg bool, rest string) {
	v = strings.TrimLeft(v, " \t,")
	i := strings.IndexAny(v, "=,")
	if i < 0 || v[i] == ',' {
		if i < 0 {
			i = len(v)
		}
		return strings.ToLower(strings.TrimSpace(v[:i])), "", false, v[i:]
	}
	name, v = strings.ToLower(strings.TrimSpace(v[:i])), strings.TrimLeft(v[i+1:], " \t")
	if strings.HasPrefix(v, `"`) {
		arg, rest, closed := strings.Cut(v[1:], `"`)
		if !closed {
			rest = ""
		}
		if i := strings.IndexByte(rest, ','); i >= 0 {
			return name, arg, true, rest[i:]
		}
		return name, arg, true, ""
	}
	i = strings.IndexByte(v, ',')
	if i < 0 {
		i = len(v)
	}
	return name, strings.TrimSpace(v[:i]), true, v[i:]
}

// listHas reports whether a comma-separated list has the name, in any case.
func listHas(list, name string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), name) {
			return true
		}
	}
	return false
}
