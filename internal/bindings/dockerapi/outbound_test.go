package dockerapi

import "testing"

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"*", "a.b", true},
		{"a.b", "a.b", true},
		{"a.b", "xa.b", false},
		{"*.b", "a.b", true},
		{"*.b", ".b", true},
		{"*.b", "b", false},
		{"a*", "a", true},
		{"a*a", "a", false},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"*b*", "abc", true},
		{"", "", true},
		{"", "a", false},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("glob(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}
