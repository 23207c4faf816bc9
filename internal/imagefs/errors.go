package imagefs

import "fmt"

// LayerError says what is wrong with a layer. Its text is for whoever pushed it.
type LayerError struct {
	Entry string // path in the layer; empty for the layer as a whole
	Text  string
	Err   error
}

// Error names the entry.
func (e *LayerError) Error() string {
	s := e.Text
	if e.Entry != "" {
		s = fmt.Sprintf("%.200q: %s", e.Entry, e.Text)
	}
	if e.Err != nil {
		return s + ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *LayerError) Unwrap() error { return e.Err }
