package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/grammar"
	"github.com/selvage-dev/selvage/internal/infer/jinja"
)

// Model is what a dialect needs of a model.
type Model interface {
	Info() decoder.Info
	Tokens(text string, special bool, limit int) []int32
	TokenBytes(token int32) []byte
	Ends(token int32) bool
}

// Dialect is one model's. It is safe for concurrent use.
type Dialect struct {
	model    Model
	info     decoder.Info
	source   string
	template *jinja.Template // nil: it has none
	bad      error           // why the template cannot be used

	vocabulary func() (*grammar.Vocabulary, error)
	mu         sync.Mutex
	grammars   []known // the last used first
}

type known struct {
	key     string
	grammar *grammar.Grammar
}

// maxGrammars is how many schemas a model keeps compiled, some megabytes each.
const maxGrammars = 16

// New reads a model's template. A model without one, or with one that cannot be read,
// still takes raw prompts.
func New(m Model) *Dialect {
	d := &Dialect{model: m, info: m.Info()}
	if d.source = d.info.Template; d.source != "" {
		d.template, d.bad = jinja.Parse(d.source)
	}
	d.vocabulary = sync.OnceValues(d.readVocabulary)
	return d
}

func (d *Dialect) readVocabulary() (*grammar.Vocabulary, error) {
	tokens := make([][]byte, d.info.Vocabulary)
	var ends []int32
	for id := range int32(len(tokens)) { //nolint:gosec // vocabularies are bounded
		tokens[id] = d.model.TokenBytes(id)
		if d.model.Ends(id) {
			ends = append(ends, id)
		}
	}
	return grammar.NewVocabulary(tokens, ends)
}

// InputError is what of a request this model cannot take. Its text is for the caller.
type InputError struct {
	Reason string
	Err    error
}

func (p *InputError) Error() string { return p.Reason }

func (p *InputError) Unwrap() error { return p.Err }

func problem(err error, format string, args ...any) error {
	return &InputError{fmt.Sprintf(format, args...), err}
}

// Takes says whether the model can be asked so at all.
func (d *Dialect) takes(r *chat.Request) error {
	_, forced := r.Forced()
	choice := string(r.ToolChoice)
	switch {
	case choice != "" && choice != `"auto"` && !r.NoTools() && !forced:
		return problem(nil, "'tool_choice' is none of \"auto\", \"none\", \"required\" and {type: \"function\", function: {name}}")
	case r.Raw && len(r.Tools) > 0:
		return problem(nil, "'tools' go with 'messages', not with a raw prompt")
	case r.Raw:
		return nil
	case d.bad != nil:
		return problem(d.bad, "the model's chat template cannot be read (%v); it takes only raw prompts: {prompt, raw: true}", d.bad)
	case d.template == nil:
		return problem(nil, "the model came without a chat template; it takes only raw prompts: {prompt, raw: true}")
	case len(r.Tools) > 0 && !strings.Contains(d.source, "tools"):
		return problem(nil, "the model's chat template has no place for 'tools'")
	case len(r.Tools) > 0 && r.Format.JSON:
		return problem(nil, "'tools' and 'response_format' together are not offered for a model of this platform")
	}
	return nil
}

// grammar returns a compiled schema, or compiles it.
func (d *Dialect) grammar(key string, compile func(*grammar.Vocabulary) (*grammar.Grammar, error)) (*grammar.Grammar, error) {
	v, err := d.vocabulary()
	if err != nil {
		return nil, problem(err, "this model cannot be held to JSON: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.grammars, func(k known) bool { return k.key == key }); i >= 0 {
		k := d.grammars[i]
		copy(d.grammars[1:], d.grammars[:i])
		d.grammars[0] = k
		return k.grammar, nil
	}
	g, err := compile(v)
	if bad, ok := errors.AsType[*grammar.SchemaError](err); ok {
		return nil, problem(err, "the schema cannot be kept: %s", bad.Error())
	}
	if err != nil {
		return nil, err
	}
	d.grammars = slices.Insert(d.grammars, 0, known{key, g})
	d.grammars = d.grammars[:min(len(d.grammars), maxGrammars)]
	return g, nil
}
