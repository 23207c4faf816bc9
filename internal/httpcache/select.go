package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Part says how a stored response answers a request.
type Part struct {
	// Status is the stored one, or 206, 304 or 416.
	Status int
	// Offset and Length are what to send of the body; both 0 without a body.
	Offset, Length int64
	// ContentRange is the field of that name; empty when there is none.
	ContentRange string
}

// Select evaluates the conditions and the range of a GET request (fields in
// canonical form) against a stored response with a body of size bytes, whose
// fields it asks for. Several ranges are answered with the
// whole, which RFC 9110, section 14.2, allows.
func Select(req http.Header, status int, field func(name string) string, size int64) Part {
	whole := Part{Status: status, Length: size}
	if status != http.StatusOK {
		return whole
	}
	if notModified(req, field) {
		return Part{Status: http.StatusNotModified}
	}
	ranges := req["Range"]
	if len(ranges) != 1 || !ifRange(req.Get("If-Range"), field) {
		return whole
	}
	from, to, verdict := parseRange(ranges[0], size)
	switch verdict {
	case rangeIgnored:
		return whole
	case rangeUnsatisfiable:
		return Part{Status: http.StatusRequestedRangeNotSatisfiable, ContentRange: "bytes */" + strconv.FormatInt(size, 10)}
	case rangeFine:
	}
	return Part{
		Status: http.StatusPartialContent, Offset: from, Length: to - from + 1,
		ContentRange: "bytes " + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to, 10) + "/" + strconv.FormatInt(size, 10),
	}
}

// notModified evaluates If-None-Match, or If-Modified-Since when that is not
// there (RFC 9110, section 13.2.2).
func notModified(req http.Header, field func(string) string) bool {
	if values := req["If-None-Match"]; len(values) > 0 {
		etag := field("Etag")
		for _, v := range values {
			if strings.TrimSpace(v) == "*" || etag != "" && listMatches(v, etag) {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(req.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(field("Last-Modified"))
	return err == nil && !modified.After(since)
}

// listMatches compares weakly: only what the quotes hold counts.
func listMatches(list, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for list != "" {
		list = strings.TrimLeft(list, " \t,")
		tag := strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(tag, `"`) {
			// Not an entity tag. Some clients leave the quotes out; take it as it is.
			i := strings.IndexByte(tag, ',')
			if i < 0 {
				i = len(tag)
			}
			if strings.TrimSpace(tag[:i]) == etag {
				return true
			}
			list = tag[i:]
			continue
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == etag {
			return true
		}
		list = tag[end+2:]
	}
	return false
}

// ifRange reports whether the range is wanted of this response (RFC 9110,
// section 13.1.5): strong comparison, or the exact date.
func ifRange(v string, field func(string) string) bool {
	switch {
	case v == "":
		return true
	case strings.HasPrefix(v, `"`):
		return v == field("Etag")
	case strings.HasPrefix(v, "W/"):
		return false
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(field("Last-Modified"))
	return err == nil && modified.Truncate(time.Second).Equal(at)
}

type rangeVerdict int

const (
	rangeIgnored rangeVerdict = iota
	rangeUnsatisfiable
	rangeFine
)

// parseRange reads "bytes=a-b", "bytes=a-" or "bytes=-n". What is not of that
// form is ignored, as RFC 9110 wants of a range that is not understood.
func parseRange(v string, size int64) (from, to int64, verdict rangeVerdict) {
	spec, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(v)), "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !dash || strings.Contains(last, ",") {
		return 0, 0, rangeIgnored
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if first == "" {
		n, ok := digits(last)
		switch {
		case !ok:
			return 0, 0, rangeIgnored
		case n == 0 || size == 0:
			return 0, 0, rangeUnsatisfiable
		}
		return size - min(n, size), size - 1, rangeFine
	}
	from, ok = digits(first)
	if !ok {
		return 0, 0, rangeIgnored
	}
	to = size - 1
	if last != "" {
		n, ok := digits(last)
		if !ok || n < from {
			return 0, 0, rangeIgnored
		}
		to = min(to, n)
	}
	if from >= size {
		return 0, 0, rangeUnsatisfiable
	}
	return from, to, rangeFine
}

// digits reads a number; one that is too large for an int64 becomes the largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
