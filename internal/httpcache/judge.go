package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verdict says whether a response may be stored.
type Verdict struct {
	// Refused says why not; empty when it may. It is text for people.
	Refused string
	// TTL is how long it may be served from now on; above 0 when it may be stored.
	TTL time.Duration
	// Age is how old it was when it came.
	Age time.Duration
	// DropCookie says that Set-Cookie must not be stored with it.
	DropCookie bool
}

func refused(why string) Verdict { return Verdict{Refused: why} }

// Options change the verdict for one request.
type Options struct {
	// TTL is how long to keep the response, whatever its fields say; 0 leaves
	// that to the fields, a negative one refuses it.
	TTL time.Duration
	// Authorized says that the request carried Authorization; then the response
	// must allow storing (RFC 9111, section 3.5), unless TTL decides.
	Authorized bool
	// Explicit refuses a response that does not say how long it is fresh.
	Explicit bool
}

// Judge decides on a response to a GET request, its fields in canonical form. A
// response without Cache-Control and Expires is kept for the time that the
// platform documents: 200 and 301 for 2 hours, 302 and 303 for 20 minutes, 404
// and 410 for 3 minutes, others not at all.
func Judge(status int, h http.Header, now time.Time, o Options) Verdict {
	switch {
	case status == http.StatusPartialContent:
		return refused("it is a part (206)")
	case status < 200 || status == http.StatusNotModified || status > 599:
		return refused("it has the status " + strconv.Itoa(status))
	}
	for _, v := range h["Vary"] {
		if listHas(v, "*") {
			return refused("it has Vary: *")
		}
	}
	c := parseControl(h)
	if len(h["Set-Cookie"]) > 0 && !c.dropCookie {
		return refused("it has Set-Cookie")
	}
	if o.TTL != 0 {
		if o.TTL < 0 {
			return refused("the request forbids it")
		}
		return Verdict{TTL: o.TTL, DropCookie: c.dropCookie}
	}
	switch {
	case c.noStore:
		return refused("Cache-Control has no-store")
	case c.private:
		return refused("Cache-Control has private")
	case c.noCache:
		return refused("Cache-Control has no-cache")
	case o.Authorized && !c.public && !c.mustRevalidate && !c.sMaxAge.set:
		return refused("its request had Authorization")
	}
	v := Verdict{DropCookie: c.dropCookie, Age: ageOf(h)}
	fresh, explicit := lifetime(h, c, now)
	if !explicit && o.Explicit {
		return refused("it does not say how long it is fresh")
	}
	if !explicit {
		fresh = defaultLifetime(status)
	}
	v.TTL = fresh - v.Age
	if v.TTL <= 0 {
		return refused("it is stale from the start")
	}
	return v
}

// lifetime is how long a response is fresh from the moment its origin made it.
func lifetime(h http.Header, c control, now time.Time) (d time.Duration, explicit bool) {
	switch {
	case c.sMaxAge.set:
		return c.sMaxAge.duration(), true
	case c.maxAge.set:
		return c.maxAge.duration(), true
	}
	values := h["Expires"]
	if len(values) == 0 {
		return 0, false
	}
	expires, err := http.ParseTime(values[0])
	if err != nil {
		return 0, true // invalid means "in the past" (RFC 9111, section 5.3)
	}
	made := now
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		made = t
	}
	return min(expires.Sub(made), maxAge*time.Second), true
}

func defaultLifetime(status int) time.Duration {
	switch status {
	case http.StatusOK, http.StatusMovedPermanently:
		return 2 * time.Hour
	case http.StatusFound, http.StatusSeeOther:
		return 20 * time.Minute
	case http.StatusNotFound, http.StatusGone:
		return 3 * time.Minute
	}
	return 0
}

func ageOf(h http.Header) time.Duration {
	var a age
	if values := h["Age"]; len(values) > 0 {
		a.lower(strings.TrimSpace(values[0]))
	}
	return a.duration()
}

// Age is how old a stored response is now, as the field of that name says it.
func Age(stored, now time.Time) string {
	return strconv.FormatInt(max(0, int64(now.Sub(stored)/time.Second)), 10)
}

// HopByHop reports whether a field concerns one connection only and must not be
// stored. The name is in canonical form.
func HopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}
