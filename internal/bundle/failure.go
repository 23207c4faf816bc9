package bundle

import (
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// failure makes one error of what esbuild says, with advice that fits a worker.
func (o *Options) failure(messages []api.Message, n *node) error {
	for i := range messages {
		o.advise(&messages[i], n)
	}
	return &Error{Text: strings.Join(formatted(messages, api.ErrorMessage), "\n")}
}

func formatted(messages []api.Message, kind api.MessageKind) []string {
	out := api.FormatMessages(messages, api.FormatMessagesOptions{Kind: kind, TerminalWidth: 100})
	for i := range out {
		out[i] = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(out[i], "✘ [ERROR] "), "▲ [WARNING] "))
	}
	return out
}

var unresolved = regexp.MustCompile(`^Could not resolve "(.+)"$`)

// advise replaces esbuild's advice, which speaks of options that only esbuild has.
func (o *Options) advise(m *api.Message, n *node) {
	match := unresolved.FindStringSubmatch(m.Text)
	if match == nil {
		return
	}
	name := match[1]
	bare := strings.TrimPrefix(name, "node:")
	if _, builtin := nodeModules()[bare]; builtin && n != nil {
		text := "It is part of Node.js, not of this project: add the compatibility flag \"nodejs_compat\"."
		if n.mode == nodeV1 {
			text = "It is part of Node.js: write \"node:" + bare + "\", or set the compatibility date to " + nodeV2Since + " or later."
		}
		m.Notes = []api.Note{{Text: text}}
		return
	}
	external := false
	for i, note := range m.Notes {
		if strings.Contains(note.Text, "as external to exclude it from the bundle") {
			external = true
			m.Notes = append(m.Notes[:i:i], m.Notes[i+1:]...)
			break
		}
	}
	if external {
		m.Notes = append(m.Notes, api.Note{Text: "Is the package installed (node_modules)? If it is not meant to be, point \"alias\" in the configuration at a file that stands in for it."})
	}
}
