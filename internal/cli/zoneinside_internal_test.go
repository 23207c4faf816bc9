package cli

import "testing"

func TestPatternReaches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{"sub.example.test/*", true},
		{"https://SUB.example.test/a", true},
		{"a.sub.example.test/*", true},
		{"*.example.test/*", true},
		{"*example.test/", true},
		{"*.sub.example.test/*", true},
		{"*.a.sub.example.test/*", true},
		{"example.test/*", false},
		{"other.example.test/*", false},
		{"*.other.example.test/*", false},
		{"notsub.example.test/*", false},
		{"*b.example.test/*", true},
	} {
		if got := patternReaches(c.pattern, "sub.example.test"); got != c.want {
			t.Errorf("%s: %t", c.pattern, got)
		}
	}
}
