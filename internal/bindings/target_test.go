package bindings

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		in       string
		fallback uint16
		want     string // hostPort, "" for an error
	}{
		{"example.com", 80, "example.com:80"},
		{"Example.COM.", 443, "example.com:443"},
		{"example.com:8080", 80, "example.com:8080"},
		{"a_b.example", 80, "a_b.example:80"},
		{"localhost", 80, "localhost:80"},
		{"1.2.3.4", 80, "1.2.3.4:80"},
		{"1.2.3.4:81", 80, "1.2.3.4:81"},
		{"[::1]", 80, "[::1]:80"},
		{"[::ffff:7f00:1]:99", 80, "[::ffff:127.0.0.1]:99"},
		{"x.0xg", 80, "x.0xg:80"},
		{"1.example", 80, "1.example:80"},

		{"", 80, ""},
		{":80", 80, ""},
		{".", 80, ""},
		{"..", 80, ""},
		{"a..b", 80, ""},
		{"example.com", 0, ""},
		{"example.com:", 80, ""},
		{"example.com:0", 80, ""},
		{"example.com:65536", 80, ""},
		{"example.com:+80", 80, ""},
		{"example.com:-1", 80, ""},
		{"example.com: 80", 80, ""},
		{"example.com:080000", 80, ""},
		{"example.com:80:80", 80, ""},
		{"example.com:http", 80, ""},
		// IPv4 in the forms that C libraries read.
		{"2130706433", 80, ""},
		{"0x7f000001", 80, ""},
		{"0x7f.1", 80, ""},
		{"0177.0.0.1", 80, ""},
		{"127.1", 80, ""},
		{"127.0.0.0x1", 80, ""},
		{"127.0.0.1.", 80, "127.0.0.1:80"},
		{"256.1.1.1", 80, ""},
		{"1.2.3.4.5", 80, ""},
		{"a.0x", 80, ""},
		// IPv6 forms.
		{"::1", 80, ""},
		{"[::1", 80, ""},
		{"[]", 80, ""},
		{"[::1]x", 80, ""},
		{"[::1%eth0]", 80, ""},
		{"[::1%25eth0]", 80, ""},
		{"[127.0.0.1]", 80, ""},
		{"[::1]]:80", 80, ""},
		{"x[::1]", 80, ""},
		// Things that are not hosts.
		{"user@example.com", 80, ""},
		{"user:pw@example.com", 80, ""},
		{"example.com/x", 80, ""},
		{"example.com?x", 80, ""},
		{"example.com#x", 80, ""},
		{"exam ple.com", 80, ""},
		{"example.com\r\nX: y", 80, ""},
		{"example.com\x00", 80, ""},
		{"bücher.example", 80, ""},
		{"ex%61mple.com", 80, ""},
		{"127.0.0.1@example.com", 80, ""},
		{"１２７.0.0.1", 80, ""},
		{strings.Repeat("a", 64) + ".com", 80, ""},
		{strings.Repeat("a.", 127) + "com", 80, ""},
	}
	for _, tt := range tests {
		got, err := parseTarget(tt.in, tt.fallback)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("parseTarget(%q) = %q, want an error", tt.in, got.hostPort())
		case tt.want != "" && (err != nil || got.hostPort() != tt.want):
			t.Errorf("parseTarget(%q) = %q, %v, want %q", tt.in, got.hostPort(), err, tt.want)
		}
	}
}

// FuzzParseTarget holds that what is accepted is either an address or a plain
// name, and reads the same once more.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"a.b:1", "[::1]:2", "1.2.3.4", "0x7f.1", "u@h", "[fe80::1%1]:3", "h:", "", "a..b", "A.b."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTarget(s, 80)
		if err != nil {
			return
		}
		if got.port == 0 || (got.name == "") == !got.addr.IsValid() {
			t.Fatalf("parseTarget(%q) = %+v", s, got)
		}
		if got.name != "" {
			if _, err := netip.ParseAddr(got.name); err == nil {
				t.Fatalf("parseTarget(%q): name %q is an address", s, got.name)
			}
			if strings.ContainsAny(got.name, " \t\r\n\x00/@:%?#[]\\") || strings.ToLower(got.name) != got.name {
				t.Fatalf("parseTarget(%q): name %q", s, got.name)
			}
		}
		again, err := parseTarget(got.hostPort(), 0)
		if err != nil || again != got {
			t.Fatalf("parseTarget(%q) = %+v, again %+v, %v", s, got, again, err)
		}
	})
}
