package grammar

import "fmt"

// SchemaError says what of a schema cannot be kept, for the one who sent it.
type SchemaError struct {
	Path   string // as /properties/name
	Reason string
}

func (e *SchemaError) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return fmt.Sprintf("'%s' %s", e.Path, e.Reason)
}
