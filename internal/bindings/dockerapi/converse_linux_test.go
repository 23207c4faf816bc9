package dockerapi

import "testing"

func TestIsRequest(t *testing.T) {
	for piece, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n": true,
		"POST /x?y HTTP/1.1\r\n":            true,
		"GET / HTTP/1.1":                    false,
		"\x16\x03\x01":                      false,
		"":                                  false,
		"\r\n":                              false,
		" HTTP/1.1\r\n":                     false,
		"get / HTTP/1.1\r\n":                false,
		"SSH-2.0-OpenSSH\r\n":               false,
	} {
		if got := isRequest([]byte(piece)); got != want {
			t.Errorf("isRequest(%q) = %v", piece, got)
		}
	}
}
