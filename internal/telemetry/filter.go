package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// MaxLimit bounds Filter.Limit; a larger one counts as this one.
const MaxLimit = 10_000

// Filter selects events; an empty field selects all.
type Filter struct {
	Ray, Script, Version, Kind string
	Level                      string    // this one and those more severe
	Since, Until               time.Time // Since is included, Until is not
	Text                       string    // in message, stack or path, whatever the case

	// Limit keeps the newest so many events. Without it, Query yields all and
	// Follow begins at Since, or now when that is zero too.
	Limit int
}

// matcher is a Filter prepared for encoded lines: most are refused without
// decoding them.
type matcher struct {
	needles      [][]byte // each must occur; an encoded value cannot contain one
	since, until string   // in the lines' own fixed-width format
	level        int
	decode       bool
	text         string
}

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	timeHead   = `{"time":"`
)

func newMatcher(f Filter) *matcher {
	m := &matcher{text: strings.ToLower(f.Text)}
	for _, field := range [...]struct{ key, value string }{
		{`"kind":"`, f.Kind}, {`"ray":"`, f.Ray}, {`"script":"`, f.Script}, {`"version":"`, f.Version},
	} {
		if field.value != "" {
			needle := appendEscaped([]byte(field.key), field.value)
			m.needles = append(m.needles, append(needle, '"'))
		}
	}
	if !f.Since.IsZero() {
		m.since = f.Since.UTC().Format(timeLayout)
	}
	if !f.Until.IsZero() {
		m.until = f.Until.UTC().Format(timeLayout)
	}
	if f.Level != "" {
		m.level = severity(f.Level)
	}
	m.decode = m.level > 0 || m.text != ""
	return m
}

// matches reports whether line, without its newline, is a whole event that the
// filter selects.
func (m *matcher) matches(line []byte) bool {
	if len(line) < len(timeHead)+len(timeLayout)+2 || !bytes.HasPrefix(line, []byte(timeHead)) || line[len(line)-1] != '}' {
		return false
	}
	at := line[len(timeHead) : len(timeHead)+len(timeLayout)]
	if m.since != "" && string(at) < m.since {
		return false
	}
	if m.until != "" && string(at) >= m.until {
		return false
	}
	for _, needle := range m.needles {
		if !bytes.Contains(line, needle) {
			return false
		}
	}
	if !m.decode {
		return true
	}
	e, ok := decodeEvent(line)
	if !ok || severity(e.Level) < m.level {
		return false
	}
	return m.text == "" || containsFold(e.Message, m.text) || containsFold(e.Stack, m.text) || containsFold(e.Path, m.text)
}

func containsFold(s, lower string) bool {
	return strings.Contains(strings.ToLower(s), lower)
}

// decodeEvent reads one line; ok is false for what a crash has torn.
func decodeEvent(line []byte) (e Event, ok bool) {
	err := json.Unmarshal(line, &e)
	return e, err == nil
}
