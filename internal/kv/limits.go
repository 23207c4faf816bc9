package kv

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// Limits of the original platform. They are not configurable: an app that
// relies on more would not run there.
const (
	MaxKeySize       = 512      // bytes of UTF-8
	MaxValueSize     = 25 << 20 // bytes
	MaxMetadataSize  = 1 << 10  // bytes of JSON
	MinTTL           = 60       // seconds
	MinCacheTTL      = 30       // seconds
	MaxListKeys      = 1000
	MaxBulkGetKeys   = 100
	MaxBulkGetBytes  = 25 << 20
	MaxBulkPairs     = 10_000
	MaxBulkBytes     = 100 << 20 // of one bulk request
	maxSafeInteger   = 1<<53 - 1 // the largest whole number that JavaScript is sure of
	maxTitle         = 512       // bytes
	maxNamespaces    = 10_000    // of an account
	invalidKeyStatus = 400
)

// CheckKey says whether a key may be used. Its errors have the platform's words.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fail(CodeInvalidKey, invalidKeyStatus, "Key names must not be empty")
	case key == "." || key == "..":
		return fail(CodeInvalidKey, invalidKeyStatus, `Illegal key name "%s". Please use a different name.`, key)
	case !utf8.ValidString(key):
		return fail(CodeInvalidKey, invalidKeyStatus, "Could not URL-decode key name")
	}
	return checkKeySize(key)
}

func checkKeySize(key string) error {
	if len(key) > MaxKeySize {
		return fail(CodeInvalidKey, 414, "UTF-8 encoded length of %d exceeds key length limit of %d.", len(key), MaxKeySize)
	}
	return nil
}

// valueTooLarge is the error for a value of so many bytes.
func valueTooLarge(size int64) error {
	return fail(CodeTooLarge, 413, "Value length of %d exceeds limit of %d.", size, MaxValueSize)
}

// checkMetadata returns the metadata as it is stored: compact JSON, nil for
// none and for null.
func checkMetadata(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > MaxMetadataSize {
		return nil, fail(CodeInvalidMetadata, 413, "Metadata length of %d exceeds limit of %d.", len(raw), MaxMetadataSize)
	}
	// utf8 too: the text travels in a header, and comes back as JSON.
	var b bytes.Buffer
	if !utf8.Valid(raw) || json.Compact(&b, raw) != nil {
		return nil, fail(CodeInvalidMetadata, 400, "Metadata must be valid JSON.")
	}
	if b.String() == "null" {
		return nil, nil
	}
	return b.Bytes(), nil
}

// ParseExpiration reads the parameters expiration (unix seconds) and
// expiration_ttl (seconds from now) of a put; "" for those that are not given.
// Of both, the second counts. It returns unix seconds, 0 for never.
func ParseExpiration(expiration, ttl string, now time.Time) (int64, error) {
	at := now.Unix()
	bad := func(name, value, why string) (int64, error) {
		return 0, fail(CodeInvalidExpiration, 400, "Invalid %s of %s. %s", name, clip(value), why)
	}
	switch {
	case ttl != "":
		n, err := strconv.ParseInt(ttl, 10, 64)
		switch {
		case err != nil || n <= 0 || n > maxSafeInteger:
			return bad("expiration_ttl", ttl, "Please specify integer greater than 0.")
		case n < MinTTL:
			return bad("expiration_ttl", ttl, "Expiration TTL must be at least "+strconv.Itoa(MinTTL)+".")
		}
		return at + n, nil
	case expiration != "":
		n, err := strconv.ParseInt(expiration, 10, 64)
		switch {
		case err != nil || n <= at || n > maxSafeInteger:
			return bad("expiration", expiration, "Please specify integer greater than the current number of seconds since the UNIX epoch.")
		case n < at+MinTTL:
			return bad("expiration", expiration, "Expiration times must be at least "+strconv.Itoa(MinTTL)+" seconds in the future.")
		}
		return n, nil
	}
	return 0, nil
}

// CheckCacheTTL checks the parameter cache_ttl of a get, "" for none. It has no
// other effect: nothing here is ever stale.
func CheckCacheTTL(text string) error {
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < MinCacheTTL {
		return fail(CodeInvalidRequest, 400, "Invalid cache_ttl of %s. Cache TTL must be at least %d.", clip(text), MinCacheTTL)
	}
	return nil
}

// clip makes text from outside fit for a message.
func clip(s string) string {
	const limit = 64
	out := make([]byte, 0, min(len(s), limit))
	for i := 0; i < len(s) && i < limit; i++ {
		c := s[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		out = append(out, c)
	}
	return string(out)
}
