package workers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Types of bindings that this release offers.
const (
	typePlainText       = "plain_text"
	typeJSON            = "json"
	typeSecretText      = "secret_text"
	typeAssets          = "assets"
	typeVersionMetadata = "version_metadata"
	typeWasmModule      = "wasm_module"
	typeTextBlob        = "text_blob"
	typeDataBlob        = "data_blob"
	typeDurableObject   = "durable_object_namespace"
	typeInherit         = "inherit"
)

// maxBindingName bounds the name of a binding, in bytes.
const maxBindingName = 255

// bindingInput is a binding as an upload brings it.
type bindingInput struct {
	Name    string          `json:"name"`
	Type    string          `json:"type"`
	Text    *string         `json:"text"`
	JSON    json.RawMessage `json:"json"`
	Part    string          `json:"part"`
	OldName string          `json:"old_name"` // inherit: the name in the latest version

	NamespaceID string          `json:"namespace_id"` // kv_namespace
	raw         json.RawMessage // the whole of it, for types with fields of their own
	ID          string          `json:"id"`          // d1
	DatabaseID  string          `json:"database_id"` // d1, as some tools write it
	ClassName   string          `json:"class_name"`  // durable_object_namespace
	ScriptName  string          `json:"script_name"` // durable_object_namespace of another script
	IndexName   string          `json:"index_name"`  // vectorize
}

// resolveBindings checks the bindings of an upload and turns them into stored
// ones: secrets sealed, parts taken out of modules, inherited and kept ones
// copied from latest (nil: there is none). It returns the modules that are left.
func (s *Service) resolveBindings(sc scope, u *Upload, modules []Module, latest *document) ([]binding, []Module, error) {
	var out []binding
	names := make(map[string]bool)
	usedParts := make(map[string]bool)
	for i, raw := range u.Bindings {
		var in bindingInput
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, nil, &Error{Code: CodeInvalidScript, Status: 400, Message: "Binding " + itoa(i) + " is not an object with a name and a type.", Err: err}
		}
		in.raw = raw
		if err := checkBindingName(in.Name); err != nil {
			return nil, nil, err
		}
		if names[in.Name] {
			return nil, nil, invalidScript("The binding %q is declared twice. Give each binding a name of its own.", in.Name)
		}
		names[in.Name] = true
		b, ok, err := s.resolveBinding(sc, &in, u, modules, latest)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			continue
		}
		if b.Part != "" && in.Type != typeInherit {
			usedParts[b.Part] = true
		}
		out = append(out, b)
	}
	if latest != nil {
		for _, b := range latest.Bindings {
			if !names[b.Name] && slices.Contains(u.KeepBindings, b.Type) {
				out = append(out, b)
			}
		}
	}
	if len(out) > s.o.MaxBindings {
		return nil, nil, invalidScript("The script has %d bindings; at most %d are allowed.", len(out), s.o.MaxBindings)
	}
	rest := slices.DeleteFunc(slices.Clone(modules), func(m Module) bool { return usedParts[m.Name] })
	return out, rest, nil
}

// resolveBinding returns ok false for an inherit binding that has no
// predecessor and need not have one.
func (s *Service) resolveBinding(sc scope, in *bindingInput, u *Upload, modules []Module, latest *document) (b binding, ok bool, err error) {
	b = binding{Name: in.Name, Type: in.Type}
	switch in.Type {
	case typePlainText:
		if in.Text == nil {
			return b, false, invalidScript("The binding %q of type plain_text has no text.", in.Name)
		}
		b.Text = *in.Text
		return b, true, s.checkBindingSize(in.Name, len(b.Text))
	case typeJSON:
		if len(in.JSON) == 0 {
			return b, false, invalidScript("The binding %q of type json has no json.", in.Name)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, in.JSON); err != nil {
			return b, false, invalidScript("The binding %q of type json is not JSON.", in.Name)
		}
		b.JSON = compact.Bytes()
		return b, true, s.checkBindingSize(in.Name, len(b.JSON))
	case typeSecretText:
		if in.Text == nil {
			return b, false, invalidScript("The binding %q of type secret_text has no text.", in.Name)
		}
		b, err = s.seal(sc, in.Name, *in.Text)
		return b, true, err
	case typeAssets, typeVersionMetadata:
		return b, true, nil
	case typeWasmModule, typeTextBlob, typeDataBlob:
		i := slices.IndexFunc(modules, func(m Module) bool { return m.Name == in.Part })
		if i < 0 {
			return b, false, invalidScript("The binding %q of type %s names the part %q, which is not in the upload.", in.Name, in.Type, in.Part)
		}
		b.Part, b.Blob, b.Size = in.Part, modules[i].Blob, modules[i].Size
		return b, true, nil
	case typeKVNamespace:
		b.NamespaceID = in.NamespaceID // see checkNamespaces
		return b, true, nil
	case typeRateLimit:
		b.RateLimit, err = parseRateLimit(in.Name, in.raw)
		return b, true, err
	case typeD1:
		b.DatabaseID = cmp.Or(in.ID, in.DatabaseID) // see checkDatabases
		return b, true, nil
	case typeAI:
		return b, true, s.offerAI(in.Name)
	case typeVectorize:
		b.IndexName = in.IndexName // see checkVectorIndexes
		return b, true, nil
	case typeDurableObject:
		b.ClassName, b.ScriptName = in.ClassName, in.ScriptName // see planUpload
		if in.ClassName == "" {
			return b, false, invalidScript("The binding %q of type durable_object_namespace has no class_name.", in.Name)
		}
		return b, true, nil
	case typeService:
		b.Service, err = parseService(in.Name, in.raw)
		return b, true, err
	case typeInherit:
		return inheritBinding(in, u, latest)
	case "":
		return b, false, invalidScript("The binding %q has no type.", in.Name)
	}
	return b, false, refuseType(in.Name, in.Type)
}

func inheritBinding(in *bindingInput, u *Upload, latest *document) (binding, bool, error) {
	source := in.OldName
	if source == "" {
		source = in.Name
	}
	if latest != nil {
		if b := latest.binding(source); b != nil {
			c := *b
			if c.Type == typeSecretText && source != in.Name {
				// The name is part of what a secret is sealed with.
				return c, false, invalidScript("The secret %q cannot be inherited under the other name %q. Set it with a value.", source, in.Name)
			}
			c.Name = in.Name
			return c, true, nil
		}
	}
	if u.InheritStrict {
		// wrangler knows a required secret that was never set by how this begins.
		return binding{}, false, fail(CodeInheritNoSource, 400, "inherit binding '%s' is invalid: the latest version has no binding %q. Declare it with a value, or set the secret first.", in.Name, source)
	}
	return binding{}, false, nil
}

func checkBindingName(name string) error {
	switch {
	case name == "":
		return invalidScript("A binding has no name.")
	case len(name) > maxBindingName:
		return invalidScript("The name of the binding %q… is longer than %d bytes.", strings.ToValidUTF8(name[:32], "?"), maxBindingName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return invalidScript("The name of the binding %q has characters that are not allowed.", name)
	}
	return nil
}

func (s *Service) checkBindingSize(name string, size int) error {
	if int64(size) > s.o.MaxBindingSize {
		return fail(CodeTooLarge, 413, "The value of the binding %q has %d bytes; at most %d are allowed.", name, size, s.o.MaxBindingSize)
	}
	return nil
}

// public returns the binding in the API's form. The text of a secret is left out.
func (b *binding) public() json.RawMessage {
	if b.RateLimit != nil {
		return b.RateLimit.public(b.Name)
	}
	if b.Service != nil {
		return b.Service.public(b.Name)
	}
	v := struct {
		Name string          `json:"name"`
		Type string          `json:"type"`
		Text *string         `json:"text,omitempty"`
		JSON json.RawMessage `json:"json,omitempty"`
		Part string          `json:"part,omitempty"`

		NamespaceID string `json:"namespace_id,omitempty"`
		ID          string `json:"id,omitempty"`
		DatabaseID  string `json:"database_id,omitempty"`
		ClassName   string `json:"class_name,omitempty"`
		ScriptName  string `json:"script_name,omitempty"`
		IndexName   string `json:"index_name,omitempty"`
	}{
		Name: b.Name, Type: b.Type, JSON: b.JSON, Part: b.Part, NamespaceID: b.NamespaceID, ID: b.DatabaseID, DatabaseID: b.DatabaseID,
		ClassName: b.ClassName, ScriptName: b.ScriptName, IndexName: b.IndexName,
	}
	if b.Type == typePlainText {
		v.Text = &b.Text
	}
	raw, err := json.Marshal(v)
	if err != nil { // only when the stored JSON is damaged
		return json.RawMessage(`{"name":` + quote(b.Name) + `,"type":` + quote(b.Type) + `}`)
	}
	return raw
}

func quote(s string) string {
	raw, _ := json.Marshal(s) // a string always encodes
	return string(raw)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }
