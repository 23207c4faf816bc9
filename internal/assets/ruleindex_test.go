package assets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// slowFind is what find must do, the obvious way.
func slowFind(d *RedirectRules, path string) *redirectRule {
	if r := d.static[path]; r != nil {
		return r
	}
	for _, r := range d.dynamic {
		if _, ok := r.match.match(path, nil); ok {
			return r
		}
	}
	return nil
}

// The index finds the rule that trying one after the other finds.
func TestRuleIndexFindsTheFirst(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	matched := 0
	for round := range 300 {
		var text strings.Builder
		text.WriteString("/first/:x /elsewhere/1\n") // From here on every rule goes through the index.
		for i := range 40 {
			source := ""
			for range 1 + random.IntN(3) {
				source += "/" + pick("a", "b", "c", ":p", ":q", "", "a:r", ":s.html", "x*", "*")
			}
			fmt.Fprintf(&text, "%s /elsewhere/%d\n", source, i)
		}
		d, _ := ParseRedirects(text.String(), "", RuleLimits{})
		for range 200 {
			path := ""
			for range 1 + random.IntN(4) {
				path += "/" + pick("a", "b", "c", "", "ab", "z.html", "xa")
			}
			got, _ := d.find(path, nil)
			want := slowFind(d, path)
			if got != want {
				t.Fatalf("round %d: %s: found %+v, want %+v in\n%s", round, path, got, want, text.String())
			}
			if want != nil {
				matched++
			}
		}
	}
	if matched < 10_000 {
		t.Errorf("only %d paths matched a rule", matched)
	}
}

func TestLoopsAreDropped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		lines      []int // that are dropped
	}{
		{"itself", "/a /a\n", []int{1}},
		{"two", "/a /b\n/b /a\n", []int{2}},
		{"three, the middle one last", "/a /b\n/c /a\n/b /c\n", []int{3}},
		{"with a query", "/a /a?again=1 301\n", []int{1}},
		{"splat into itself", "/blog/* /blog/:splat\n", []int{1}},
		{"splat that grows", "/blog/* /blog/old/:splat\n", []int{1}},
		{"everything to one page", "/* /sorry\n", []int{1}},
		{"everything but that page", "/sorry /sorry.html 200\n/* /sorry\n", nil},
		{"two with placeholders", "/x/:a /y/:a\n/y/:b /x/:b\n", []int{2}},
		{"a chain", "/a /b\n/b /c\n/c /d\n", nil},
		{"another host", "/a https://a.example/a\n", nil},
		{"taking a folder away", "/old/* /:splat\n", nil},
		{"swapping", "/x/:a/:b /y/:b/:a\n", nil},
		{"proxying itself", "/a/* /a/:splat 200\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, warnings := ParseRedirects(c.text, "", RuleLimits{})
			var lines []int
			for _, w := range warnings {
				if strings.Contains(w.Message, "circle") {
					lines = append(lines, w.Line)
				}
			}
			if !slices.Equal(lines, c.lines) {
				t.Errorf("lines %v were dropped, want %v; warnings %v", lines, c.lines, warnings)
			}
		})
	}
}

// BenchmarkFind looks for a path that the very last rule matches, and for one that none does.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{0, 100, 10_000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "/old-%d/:slug/* /new-%d/:slug/:splat 301\n", i, i)
		}
		d, _ := ParseRedirects(text.String(), "", RuleLimits{DynamicRedirects: n + 1})
		for name, path := range map[string]string{"last": fmt.Sprintf("/old-%d/a/b/c", n-1), "none": "/assets/app/index.js"} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				var buf [8]binding
				for b.Loop() {
					d.find(path, buf[:0])
				}
			})
		}
	}
}
