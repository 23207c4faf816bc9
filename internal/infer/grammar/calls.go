package grammar

import "encoding/json"

// Tool is a function that a model may call.
type Tool struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"` // JSON Schema of an object; nil: any
}

// CompileCalls returns the grammar of a call of one of the tools:
// {"name": …, key: arguments}. The error is a [*SchemaError].
func CompileCalls(tools []Tool, key string, v *Vocabulary) (g *Grammar, err error) {
	defer recovered(&g, &err)
	all := &node{kind: isUnion, least: infinite}
	for _, t := range tools {
		c := &compiler{whole: t.Parameters, refs: make(map[string]*node)}
		arguments := c.object(&schema{}, "")
		if t.Parameters != nil {
			arguments = c.compile(t.Parameters, "")
		}
		for _, a := range alternatives(arguments) {
			if a.kind != isObject {
				c.fail("", "of the parameters of %.50q is not that of an object", t.Name)
			}
		}
		n := &node{kind: isObject, props: []property{
			{jsonText("name"), literal([]string{jsonText(t.Name)}), true},
			{jsonText(key), arguments, true},
		}}
		n.finish()
		all.alts = append(all.alts, n)
	}
	return finished(unite(all), v), nil
}
