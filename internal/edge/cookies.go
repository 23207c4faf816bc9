package edge

import (
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// sharedCookie reports whether a Set-Cookie would reach hosts of other tenants:
// whether its Domain (the last one counts, RFC 6265 section 5.3) is one of the
// shared suffixes or a parent of one.
func sharedCookie(value string, suffixes []string) bool {
	domain := cookieDomain(value)
	if domain == "" {
		return false
	}
	for _, suffix := range suffixes {
		if domain == suffix {
			return true
		}
		if rest, ok := strings.CutSuffix(suffix, domain); ok && strings.HasSuffix(rest, ".") {
			return true
		}
	}
	return false
}

// cookieDomain returns the Domain attribute in lower case, without the dots
// around it; "" when there is none.
func cookieDomain(value string) string {
	domain := ""
	_, attributes, _ := strings.Cut(value, ";")
	for attributes != "" {
		var attribute string
		attribute, attributes, _ = strings.Cut(attributes, ";")
		name, v, _ := strings.Cut(attribute, "=")
		if wire.Is(wire.TrimSpace(name), "domain") {
			domain = wire.TrimSpace(v)
		}
	}
	return strings.ToLower(strings.Trim(domain, "."))
}

// droppedCookie tells the worker's author why a cookie does not arrive.
func (c *call) droppedCookie(value string) {
	c.count.cookies.Add(1)
	name, _, _ := strings.Cut(value, "=")
	const longest = 128
	name = strings.ToValidUTF8(name[:min(len(name), longest)], "")
	c.s.logs.Append(&telemetry.Event{
		Time: time.Now(), Kind: telemetry.KindPlatform, Level: telemetry.LevelWarn, Ray: c.ray,
		Account: c.target.Account, Script: c.target.Script, Version: c.target.Version, Host: c.host,
		Message: "dropped the cookie " + name + " set for the domain " + cookieDomain(value) +
			": other workers' hosts are under it. Leave the Domain attribute out.",
	})
}
