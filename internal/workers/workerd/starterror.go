package workerd

import "strings"

// newStartError divides what the runtime said into message and stack.
func newStartError(text string) *StartError {
	lines := strings.Split(text, "\n")
	n := len(lines)
	for n > 0 && strings.HasPrefix(lines[n-1], "  at ") {
		n--
	}
	return &StartError{
		Text:    text,
		Message: strings.Join(lines[:n], "\n"),
		Stack:   strings.Join(lines[n:], "\n"),
	}
}
