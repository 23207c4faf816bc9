package workers

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/selvage-dev/selvage/internal/assets"
)

// A metadataKey says what happens to one key of the metadata part of an upload.
type metadataKey struct {
	// read puts the value into the upload. nil: see ignored.
	read func(u *Upload, raw json.RawMessage) error
	// ignored keys change nothing that this platform does: they are hints for
	// another one's billing, scheduling or dashboards.
	ignored bool
	// later names what a key needs that this release does not offer. An empty
	// value (null, false, [], {}, "") asks for nothing and is accepted.
	later string
}

// What settings may ask for that comes later.
const logpush = "Logpush"

// metadataKeys returns the whole table. A key that is not in it is refused: to
// ignore what is not understood would be to pretend.
func metadataKeys() map[string]metadataKey {
	return map[string]metadataKey{
		"main_module":         {read: into(func(u *Upload) any { return &u.MainModule })},
		"body_part":           {read: into(func(u *Upload) any { return &u.BodyPart })},
		"bindings":            {read: into(func(u *Upload) any { return &u.Bindings })},
		"compatibility_date":  {read: into(func(u *Upload) any { return &u.CompatibilityDate })},
		"compatibility_flags": {read: into(func(u *Upload) any { return &u.CompatibilityFlags })},
		"keep_bindings":       {read: into(func(u *Upload) any { return &u.KeepBindings })},
		"keep_assets":         {read: into(func(u *Upload) any { return &u.KeepAssets })},
		"annotations":         {read: into(func(u *Upload) any { return &u.Annotations })},
		"assets":              {read: readAssets},
		"limits":              {read: readLimits},
		"placement":           {read: object(func(u *Upload) *json.RawMessage { return &u.Placement })},
		"observability":       {read: object(func(u *Upload) *json.RawMessage { return &u.Observability })},
		"tail_consumers":      {read: list(func(u *Upload) *json.RawMessage { return &u.TailConsumers })},
		"logpush":             {read: into(func(u *Upload) any { return &u.Logpush }), later: logpush},
		"migrations":          {read: into(func(u *Upload) any { return &u.Migrations })},
		"exports":             {read: readExports},
		"tags":                {read: into(func(u *Upload) any { return &u.Tags })},
		"cache_options":       {read: into(func(u *Upload) any { return &u.Cache })},

		"usage_model":          {ignored: true}, // there is one
		"package_dependencies": {ignored: true}, // names from package.json, for statistics
		"code_update_strategy": {ignored: true}, // how objects move to new code; see handOver

		"containers":               {read: readContainers},
		"capnp_schema":             {later: "Cap'n Proto schemas"},
		"streaming_tail_consumers": {later: "streaming tail consumers"},
	}
}

// DecodeMetadata reads the metadata part of an upload form. The error is an
// *Error that names the key at fault.
func DecodeMetadata(data []byte) (*Upload, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, &Error{Code: CodeInvalidRequest, Status: 400, Message: "The metadata part is not a JSON object: " + err.Error() + ".", Err: err}
	}
	table := metadataKeys()
	u := new(Upload)
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names) // the same upload gives the same error
	for _, name := range names {
		key, known := table[name]
		raw := bytes.TrimSpace(keys[name])
		switch {
		case !known:
			return nil, fail(CodeNotOffered, 400, "The metadata key %q is not known to this release. Remove it, or use a newer release.", name)
		case key.ignored || string(raw) == "null":
		case key.later != "" && !emptyJSON(raw):
			return nil, fail(CodeNotOffered, 400, "The metadata key %q asks for %s, which this release does not offer. Remove it from the configuration.", name, key.later)
		case key.read == nil:
		default:
			if err := key.read(u, raw); err != nil {
				if public, ok := errors.AsType[*Error](err); ok {
					return nil, public
				}
				return nil, &Error{Code: CodeInvalidRequest, Status: 400, Message: "The metadata key \"" + name + "\" has a wrong value: " + err.Error() + ".", Err: err}
			}
		}
	}
	return u, nil
}

// emptyJSON reports whether a compact value asks for nothing.
func emptyJSON(raw json.RawMessage) bool {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return false
	}
	switch b.String() {
	case "null", "false", "[]", "{}", `""`:
		return true
	}
	return false
}

func into(field func(*Upload) any) func(*Upload, json.RawMessage) error {
	return func(u *Upload, raw json.RawMessage) error { return json.Unmarshal(raw, field(u)) }
}

// object keeps a JSON object as it is.
func object(field func(*Upload) *json.RawMessage) func(*Upload, json.RawMessage) error {
	return func(u *Upload, raw json.RawMessage) error {
		var check map[string]json.RawMessage
		return keep(field(u), raw, &check)
	}
}

// list keeps a JSON array as it is.
func list(field func(*Upload) *json.RawMessage) func(*Upload, json.RawMessage) error {
	return func(u *Upload, raw json.RawMessage) error {
		var check []json.RawMessage
		return keep(field(u), raw, &check)
	}
}

func keep(to *json.RawMessage, raw json.RawMessage, check any) error {
	if err := json.Unmarshal(raw, check); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	*to = b.Bytes()
	return nil
}

func readAssets(u *Upload, raw json.RawMessage) error {
	var a struct {
		JWT    string        `json:"jwt"`
		Config assets.Config `json:"config"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	u.Assets = &UploadAssets{JWT: a.JWT, Config: a.Config}
	return nil
}
