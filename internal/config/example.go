package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Example returns a commented TOML file with every option at its default.
func Example(getenv func(string) string) string {
	c := Default(getenv)
	var b strings.Builder
	b.WriteString(`# Configuration of selvage: "selvage up --config FILE".
# Every option has a variable and a flag too, which override the file, the flag
# last: limits.body_size is SELVAGE_LIMITS_BODY_SIZE and --limits-body-size.
# Those marked "reload" take effect on SIGHUP, the others at the next start.
`)
	table := ""
	for _, o := range Options() {
		if i := strings.LastIndexByte(o.Key, '.'); i >= 0 && o.Key[:i] != table {
			table = o.Key[:i]
			b.WriteString("\n[" + table + "]\n")
		}
		b.WriteByte('\n')
		doc := o.Doc
		if o.Reload {
			doc += " (reload)"
		}
		writeComment(&b, doc)
		writeComment(&b, "Want "+o.Want+".")
		b.WriteString("# " + exampleLine(&o, c) + "\n")
	}
	return b.String()
}

// exampleLine is the assignment of o's value in TOML.
func exampleLine(o *Option, c *Config) string {
	return o.Key[strings.LastIndexByte(o.Key, '.')+1:] + " = " + o.TOML(c)
}

// TOML returns the option's value as the file has it.
func (o *Option) TOML(c *Config) string {
	text := o.Get(c)
	switch o.value(c).(type) {
	case *int, *bool:
		return text
	case *string, *Size, *time.Duration:
		return strconv.Quote(text) // no option takes control characters, the only ones Go and TOML quote differently
	case *[]netip.Prefix, *[]EgressRule, *[]AIUpstream, *[]AIRoute, *[]AIHub:
		if text == "" {
			return "[]"
		}
		return `["` + strings.ReplaceAll(text, ",", `", "`) + `"]`
	}
	return text
}

func writeComment(b *strings.Builder, text string) {
	const width = 90
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
