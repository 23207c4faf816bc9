package edge

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// FuzzAccept holds that a page is HTML or JSON only for those who name it.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "text/html;q=0.5,application/json", "application/json;q=0", "text/html;;q=1.000;x=\"", "a,,b;q=9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		named := strings.ToLower(accept)
		switch formatFor(accept) {
		case html:
			if !strings.Contains(named, "html") {
				t.Errorf("HTML for %q", accept)
			}
		case json:
			if !strings.Contains(named, "json") {
				t.Errorf("JSON for %q", accept)
			}
		case plain:
		}
	})
}

// FuzzCookieDomain holds the rule on shared domains against a plain reading of it.
func FuzzCookieDomain(f *testing.F) {
	for _, seed := range []string{"a=b", "a=b; Domain=example.net", "a=b;domain=.WORKERS.example.net.;x", "a; Domain", "a=Domain=example.net", "; domain=net;domain=x"} {
		f.Add(seed)
	}
	suffixes := []string{"workers.example.net"}
	f.Fuzz(func(t *testing.T, value string) {
		domain := cookieDomain(value)
		if domain != strings.ToLower(domain) || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, ";") {
			t.Errorf("%q: domain %q", value, domain)
		}
		want := domain == "workers.example.net" || domain == "example.net" || domain == "net"
		if got := sharedCookie(value, suffixes); got != want {
			t.Errorf("%q: shared %v", value, got)
		}
	})
}

// FuzzForwardedFor holds that whatever stands in the field, the client is an
// address, and never one to the left of an untrusted hop.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"", "1.1.1.1, 10.0.0.1", "10.0.0.1", "[::1]:1, x, 10.0.0.1:80", ",,,", "fe80::1%eth0, ::ffff:10.0.0.1"} {
		f.Add(seed)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, list string) {
		c := client{ip: "10.9.9.9"}
		c.walkHops(list, trusted)
		addr, err := netip.ParseAddr(c.ip)
		if err != nil {
			t.Fatalf("%q: client %q", list, c.ip)
		}
		if contains(trusted, addr) {
			return
		}
		hops := strings.Split(list, ",")
		for _, h := range slices.Backward(hops) {
			hop, ok := parseHop(wire.TrimSpace(h))
			if !ok || !contains(trusted, hop) {
				if !ok || hop != addr {
					t.Errorf("%q: client %s is beyond hop %q", list, addr, h)
				}
				return
			}
		}
	})
}

func TestHostKey(t *testing.T) {
	var p wire.Peer
	for in, want := range map[string]string{
		"a.test": "a.test", "A.Test:80": "a.test", "a.test.": "a.test", "a.test.:1": "a.test",
		"[::1]": "[::1]", "[::1]:80": "[::1]", ":80": "", ".": "", "": "",
	} {
		for range 2 { // the second time from memory
			if got := p.HostKey(in); got != want {
				t.Errorf("%q: %q, want %q", in, got, want)
			}
		}
	}
}

// FuzzOverrides holds that reading the overrides ends, that what is found is a
// string of the field, and that a field that is no dictionary gives nothing.
func FuzzOverrides(f *testing.F) {
	for _, seed := range []string{
		`app="v"`, `a, app="v";q=1;r`, `app=("x" y 1.5);z="\""`, `app=:YQ==:, b=?1, c=@-1, d=%"x"`, `app="\\`, `app=`, "app=\"v\"\t,\t b", `app="v",`, `*=1`, `A="v"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		value, found, ok := overrideIn(s, "app")
		if !ok && (found || value != "") || !found && value != "" {
			t.Errorf("%q: %q, %v, %v", s, value, found, ok)
		}
		if value != "" && !strings.Contains(s, `app="`+value+`"`) {
			t.Errorf("%q: %q is not in it", s, value)
		}
		// A dictionary with another member before it is one too.
		if _, _, more := overrideIn("b, "+strings.TrimLeft(s, " "), "app"); ok && strings.TrimLeft(s, " ") != "" && !more {
			t.Errorf("%q: good alone, not after another member", s)
		}
	})
}
