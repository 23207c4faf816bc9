package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Sources say where values come from.
type Sources struct {
	File   string // path; empty: none
	Getenv func(string) string
	Flags  map[string]string // by Option.Flag, those that were given
}

// Effective is a loaded configuration.
type Effective struct {
	Config
	Origins map[string]string // by key: "default", "file:line", "SELVAGE_X" or "--x"
}

// Error is a value or a key that is not valid.
type Error struct {
	Where  string // "file:line", "SELVAGE_X", "--x"
	Key    string
	Value  string
	Reason string // whole, with what is valid
}

// Error says where, what and what is valid.
func (e *Error) Error() string {
	return e.Where + ": " + e.Reason
}

// Load reads the sources over the defaults. Its errors about values join one
// *Error for each.
func Load(s Sources) (*Effective, error) {
	e := &Effective{Config: *Default(s.Getenv), Origins: make(map[string]string)}
	options := Options()
	settings, err := s.settings(options)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		e.Origins[o.Key] = "default"
	}
	var problems []error
	for _, v := range settings {
		i := slices.IndexFunc(options, func(o Option) bool { return o.Key == v.key })
		// A value that a later one overrides is checked too: it is wrong wherever it stands.
		if !options[i].set(&e.Config, v.text) {
			problems = append(problems, invalid(v.where, v.key, v.text, options[i].Want))
		}
		e.Origins[v.key] = v.where
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if err := e.finish(); err != nil {
		return nil, err
	}
	return e, nil
}

// setting is one value of one source.
type setting struct{ key, text, where string }

// settings returns what the sources say, the weakest first.
func (s Sources) settings(options []Option) ([]setting, error) {
	var all []setting
	if s.File != "" {
		data, err := readFile(s.File)
		if err != nil {
			return nil, err
		}
		if all, err = parseFile(s.File, data, options); err != nil {
			return nil, err
		}
	}
	for _, o := range options {
		if text := s.Getenv(o.Env()); text != "" {
			all = append(all, setting{key: o.Key, text: text, where: o.Env()})
		}
	}
	for _, o := range options {
		if text, ok := s.Flags[o.Flag()]; ok {
			all = append(all, setting{key: o.Key, text: text, where: "--" + o.Flag()})
		}
	}
	return all, nil
}

func invalid(where, key, value, want string) *Error {
	return &Error{Where: where, Key: key, Value: value, Reason: fmt.Sprintf("%s = %q is not valid; want %s", key, value, want)}
}

// finish checks what concerns several options and makes paths absolute.
func (e *Effective) finish() error {
	if e.Data == "" {
		return &Error{Where: "data", Key: "data", Reason: "there is no home directory to keep data in; give one with --data or SELVAGE_DATA"}
	}
	for _, p := range []*string{&e.Data, &e.Workerd, &e.API.TLSCert, &e.API.TLSKey, &e.TLS.Cert, &e.TLS.Key, &e.TLS.ACMERoots} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("find the working directory for %s: %w", *p, err)
		}
		*p = abs
	}
	if (e.API.TLSCert == "") != (e.API.TLSKey == "") {
		return &Error{Where: e.Origins["api.tls_cert"], Key: "api.tls_cert", Reason: "api.tls_cert and api.tls_key belong together; set both or neither"}
	}
	if e.Port != 0 && e.Port == e.API.Port {
		return &Error{
			Where: e.Origins["api.port"], Key: "api.port", Value: strconv.Itoa(e.API.Port),
			Reason: fmt.Sprintf("port and api.port are both %d; give one of them another, with --port or --api-port", e.Port),
		}
	}
	return e.checkTLS()
}

// Changed returns the options whose values differ between two configurations.
func Changed(was, now *Config) []Option {
	return slices.DeleteFunc(Options(), func(o Option) bool { return o.Get(was) == o.Get(now) })
}

// UnknownEnv returns the SELVAGE_* variables that mean nothing: a likely typing
// error. Those in known do mean something.
func UnknownEnv(environ []string, known ...string) []string {
	var names []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "SELVAGE_") || slices.Contains(known, name) {
			continue
		}
		if !slices.ContainsFunc(Options(), func(o Option) bool { return o.Env() == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func readFile(name string) (data []byte, err error) {
	f, err := os.Open(name) //nolint:gosec // the operator named it
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read the configuration: %s is larger than %s; is it the right file?", name, Size(maxFile))
	}
	return data, nil
}
