package project

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Error is a configuration that cannot be used. It lists everything wrong at once.
type Error struct {
	File     string
	Problems []string
}

func (e *Error) Error() string {
	where := e.File
	if where == "" {
		where = "the configuration"
	}
	if len(e.Problems) == 1 {
		return where + ": " + e.Problems[0]
	}
	return where + ":\n- " + strings.Join(e.Problems, "\n- ")
}

// problems collects what is wrong.
type problems struct {
	errors, warnings []string
}

func (p *problems) errorf(format string, args ...any) {
	p.errors = append(p.errors, fmt.Sprintf(format, args...))
}

func (p *problems) warnf(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

// maxShown bounds how much of a wrong value an error shows.
const maxShown = 120

// show is a value for an error.
func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(text) > maxShown {
		return strings.ToValidUTF8(string(text[:maxShown]), "") + "…"
	}
	return string(text)
}
