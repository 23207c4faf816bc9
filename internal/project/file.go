package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// names are the configuration files in the order in which they are looked for:
// each one up to the root of the file system before the next, as wrangler does.
func names() []string { return []string{"wrangler.json", "wrangler.jsonc", "wrangler.toml"} }

// redirectFile is where a build tool names the configuration that it generated.
const redirectFile = ".wrangler/deploy/config.json"

// ErrNoConfig says that there is no configuration file.
var ErrNoConfig = errors.New("no wrangler.json, wrangler.jsonc or wrangler.toml")

// source is a configuration file as it was found.
type source struct {
	// user is the file that a person writes, file the one that counts: another
	// one where a build tool redirects.
	user, file string
	redirected bool
}

// find looks for the configuration from dir upwards.
func find(dir string) (source, error) {
	var s source
	for _, name := range names() {
		if s.user = upwards(dir, name); s.user != "" {
			break
		}
	}
	redirect := upwards(dir, redirectFile)
	switch {
	case redirect == "" && s.user == "":
		return s, ErrNoConfig
	case redirect == "":
		s.file = s.user
		return s, nil
	}
	raw, err := read(redirect)
	if err != nil {
		return s, err
	}
	target, ok := raw["configPath"].(string)
	if !ok || target == "" {
		return s, fmt.Errorf("%s: it redirects to another configuration, but has no \"configPath\"", redirect)
	}
	if s.user != "" && filepath.Join(filepath.Dir(s.user), filepath.FromSlash(redirectFile)) != redirect {
		return s, fmt.Errorf("%s redirects, but does not belong to the configuration %s: delete the one that is left over from an earlier build", redirect, s.user)
	}
	s.file, s.redirected = filepath.Join(filepath.Dir(redirect), filepath.FromSlash(target)), true
	if _, err := os.Stat(s.file); err != nil {
		return s, fmt.Errorf("%s redirects to %s, which was not found; build the project again", redirect, s.file)
	}
	return s, nil
}

func upwards(dir, name string) string {
	for {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// read reads a file of any of the three formats.
func read(file string) (map[string]any, error) {
	f, err := os.Open(file) //nolint:gosec // the user's own
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the configuration %s was not found", file)
		}
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", file, err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("the configuration %s is larger than %d bytes", file, maxConfig)
	}
	raw, err := decode(text, filepath.Ext(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return raw, nil
}

// decode reads TOML or JSON with comments into the values of a JSON decoder
// that keeps numbers as text.
func decode(text []byte, extension string) (map[string]any, error) {
	if extension != ".toml" {
		return decodeJSONC(text)
	}
	var raw map[string]any
	if err := toml.Unmarshal(text, &raw); err != nil {
		if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := bad.Position()
			return nil, fmt.Errorf("line %d, column %d: %w", line, column, err)
		}
		return nil, err
	}
	return asJSON(raw)
}

// asJSON gives values of TOML the types of JSON; dates become their text.
func asJSON(raw map[string]any) (map[string]any, error) {
	text, err := json.Marshal(dates(raw))
	if err != nil { // inf and nan, which JSON has not
		return nil, fmt.Errorf("a value has no form in JSON: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	if out == nil {
		out = map[string]any{}
	}
	return out, nil
}

func dates(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = dates(e)
		}
	case []any:
		for i, e := range v {
			v[i] = dates(e)
		}
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case toml.LocalDate:
		return v.String()
	case toml.LocalTime:
		return v.String()
	case toml.LocalDateTime:
		return v.String()
	}
	return v
}
