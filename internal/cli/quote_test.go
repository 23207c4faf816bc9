package cli

import (
	"os/exec"
	"strings"
	"testing"
)

func TestQuotePOSIXSurvivesAShell(t *testing.T) {
	for _, s := range []string{"", "plain", "a b", "it's", `"$HOME"`, "`id`", `\`, "a\nb", "$(id)", "é", "-n", "a;b&c|d", "!x", "''"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quotePOSIX(s)).Output()
		if s == "-n" { // printf's own option without a format
			out, err = exec.Command("sh", "-c", "printf '%s' "+quotePOSIX(s)).Output()
		}
		if err != nil || string(out) != s {
			t.Errorf("%q became %q (%v)", s, out, err)
		}
	}
}

func TestQuoteFish(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a": "'a'", "it's": `'it\'s'`, `a\b`: `'a\\b'`, "$x (y)": "'$x (y)'"} {
		if got := quoteFish(in); got != want {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	in := "a\x1b[2J\x07b\tc\nd\r\x7f\u009b\u202e\u2028é"
	got := printable(in)
	if strings.ContainsAny(got, "\x1b\x07\r\x7f\u009b\u202e\u2028") || !strings.Contains(got, "b\tc\nd") || !strings.HasSuffix(got, "é") {
		t.Errorf("%q became %q", in, got)
	}
}
