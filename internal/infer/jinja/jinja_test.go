package jinja_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/infer/jinja"
)

// TestGolden compares with what Jinja2 3.1.6 wrote, set up as Hugging Face's library does.
func TestGolden(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/jinja2.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Vars  json.RawMessage `json:"vars"`
		Cases []struct {
			Template string `json:"template"`
			Text     string `json:"text"`
			Error    string `json:"error"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(raw, &golden); err != nil || len(golden.Cases) < 50 {
		t.Fatalf("%d cases: %v", len(golden.Cases), err)
	}
	for _, c := range golden.Cases {
		got, err := try(t, c.Template, golden.Vars)
		if (err != nil) != (c.Error != "") || got != c.Text {
			t.Errorf("%s\n%q %v\nJinja2:\n%q %s", c.Template, got, err, c.Text, c.Error)
		}
	}
}

func try(t *testing.T, source string, vars any) (string, error) {
	t.Helper()
	if _, err := jinja.Parse(source); err != nil {
		return "", err
	}
	return render(t, source, vars)
}

// TestLimits runs templates that would never end, or take all memory.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}`,
		`{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`,
		`{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`,
		`{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}`,
		`{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}`,
		`{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}`,
		`{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}`,
		`{{ 'x' * 999999999 }}`, `{{ 'x' * 99999 * 99999 }}`, `{{ range(999999999) }}`, `{{ 'aaaa'.replace('', 'x' * 9999999) * 99 }}`,
		`{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}`,
		`{% set ns = namespace(s='x' * 9999999) %}{% for i in range(9999) %}{{ ns.s.count('y') }}{% endfor %}`,
		`{{ ['x' * 9999999] * 1 }}{{ ('a,' * 9999999).split(',') | length }}`,
		`{% set c = 'x' * 999999 %}{% for i in range(99999) %}{{ c | upper | length }}{% endfor %}`,
	} {
		began := time.Now()
		tmpl, err := jinja.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tmpl.Render(t.Context(), nil, jinja.Options{Limits: jinja.Limits{Steps: 300_000, Bytes: 64 << 20, Output: 1 << 20}})
		failed, _ := errors.AsType[*jinja.RunError](err)
		if failed == nil {
			t.Errorf("%.80s: %d bytes, %v after %v", source, len(text), err, time.Since(began))
		}
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	tmpl, err := jinja.Parse(`{% for a in range(99999) %}{% for b in range(99) %}{% endfor %}{% endfor %}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tmpl.Render(ctx, nil, jinja.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"a\n{% if x %}": "line 2", "{{ x": "no end", "{{ 'x }}": "closing quote", "{% include 'x' %}": "not taken", "{% endif %}": "no beginning",
		"{% for x in y %}{% endif %}": "does not belong", "{{ x | nofilter }}": "no filter", "{{ x is notest }}": "no test", "{# x": "comment",
		"{% raw %}": "endraw", "{% break %}": "in no loop", "{{ }}": "expected a value", "{{ 99999999999999999999 }}": "too large", "{% set %}": "expected a name",
		strings.Repeat("{% if x %}", 999): "deeper", "{{ " + strings.Repeat("(", 999) + strings.Repeat(")", 999) + " }}": "deeper", "{{ " + strings.Repeat("not ", 999) + " }}": "deeper", "{{ " + strings.Repeat("- ", 999) + " }}": "deeper",
		"{{ 1" + strings.Repeat(" + 1", 999) + " }}": "follow each other", "{{ x" + strings.Repeat(".a", 999) + " }}": "follow each other",
		"{{ x" + strings.Repeat("|e", 999) + " }}": "follow each other", strings.Repeat("x", 2<<20): "at most", "{% for x in y recursive %}": "recursive",
	} {
		_, err := jinja.Parse(source)
		if e, ok := errors.AsType[*jinja.SyntaxError](err); !ok || !strings.Contains(e.Error(), want) {
			t.Errorf("%.60q: %v, want %s", source, err, want)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	tmpl, err := jinja.Parse(`{{ strftime_now("%d %b %Y|%B %A %H:%M:%S %j %% %q %-d|%F") }}`)
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 11, 5, 6, 7, 8, 0, time.UTC) }
	if text, err := tmpl.Render(t.Context(), nil, jinja.Options{Now: now}); err != nil || text != "05 Nov 2026|November Thursday 06:07:08 309 % %q 5|2026-11-05" {
		t.Errorf("%q %v", text, err)
	}
}

func FuzzTemplate(f *testing.F) {
	files, err := filepath.Glob("testdata/templates/*.jinja")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	for _, s := range []string{"{{ x[1:2:-1] ** -2 ~ 'a' }}", "{% raw %}a{% endraw -%} {#- c +#}", `{{ "\x41\u00e9\U0001F642\777" | tojson(indent=1) }}`, "{% call(a) m(1) %}{% endcall %}"} {
		f.Add(s)
	}
	vars, err := jinja.FromJSON([]byte(`{"x":[1,2.5,"é",null,{"a":{"b":[]}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}],"bos_token":"<s>"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := jinja.Parse(source)
		if err != nil {
			if _, ok := errors.AsType[*jinja.SyntaxError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		limits := jinja.Limits{Steps: 20_000, Bytes: 1 << 20, Output: 1 << 16}
		text, err := tmpl.Render(t.Context(), vars.(*jinja.Dict).Map(), jinja.Options{Limits: limits})
		if _, ok := errors.AsType[*jinja.RunError](err); err != nil && !ok || len(text) > limits.Output {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	})
}
