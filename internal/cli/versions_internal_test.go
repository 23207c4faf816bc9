package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/client"
)

func TestParseShares(t *testing.T) {
	t.Parallel()
	type share = client.DeploymentVersion
	for _, c := range []struct {
		args  string
		want  []share
		fails string
	}{
		{args: "a", want: []share{{VersionID: "a", Percentage: 100}}},
		{args: "a@90 b@10", want: []share{{VersionID: "a", Percentage: 90}, {VersionID: "b", Percentage: 10}}},
		{args: "a@33.3% b", want: []share{{VersionID: "a", Percentage: 33.3}, {VersionID: "b", Percentage: 66.7}}},
		{args: "a b@50 c", want: []share{{VersionID: "a", Percentage: 25}, {VersionID: "b", Percentage: 50}, {VersionID: "c", Percentage: 25}}},
		{args: "", fails: "which version"},
		{args: "a@60 b@41", fails: "sum to 101"},
		{args: "a@60", fails: "sum to 60"},
		{args: "a@100 b", fails: "nothing is left"},
		{args: "a@-1 b", fails: `"-1"`},
		{args: "a@NaN", fails: `"NaN"`},
		{args: "a@x", fails: `"x"`},
	} {
		got, err := parseShares(strings.Fields(c.args))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%q: err = %v, want %q", c.args, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		for i := range got {
			if diff := got[i].Percentage - c.want[i].Percentage; got[i].VersionID != c.want[i].VersionID || diff > 1e-9 || diff < -1e-9 {
				t.Errorf("%q: %s", c.args, cmp.Diff(c.want, got))
			}
		}
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want, fails string }{
		{text: ` {"A":"1","B":null}`, want: "A=1 B=nil"},
		{text: "# comment\nA=1\n\nexport B = 'two = 2'\r\nC=\"x\\ny\"\n", want: "A=1 B=two = 2 C=x\ny"},
		{text: `{"A":{"secret":"hush"}}`, fails: "strings or null"},
		{text: `{"A":"hush"`, fails: "not a JSON object"},
		{text: "A=1\nhush\n", fails: "line 2"},
		{text: "# nothing\n", fails: "no secret"},
		{text: "{}", fails: "no secret"},
	} {
		got, err := parseSecrets([]byte(c.text))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%q: err = %v, want %q without a value", c.text, err, c.fails)
			}
			continue
		}
		var words []string
		for _, name := range []string{"A", "B", "C"} {
			if v, ok := got[name]; ok && v == nil {
				words = append(words, name+"=nil")
			} else if ok {
				words = append(words, name+"="+*v)
			}
		}
		if err != nil || strings.Join(words, " ") != c.want {
			t.Errorf("%q: %q %v, want %q", c.text, words, err, c.want)
		}
	}
}

// FuzzParseSecrets feeds what stands on standard input.
func FuzzParseSecrets(f *testing.F) {
	f.Add([]byte(`{"A":"1"}`))
	f.Add([]byte("A='\nB=\"\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := parseSecrets(text); err == nil && len(got) == 0 {
			t.Fatal("no secret and no error")
		}
	})
}
