package vectorize

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

// Vector is what an index holds under an id.
type Vector = vecjson.Vector

// Metric says how near two vectors are.
type Metric string

// The metrics, with what their score means.
const (
	Cosine    Metric = "cosine"      // the cosine of the angle, 1 is nearest
	Euclidean Metric = "euclidean"   // the distance, 0 is nearest
	Dot       Metric = "dot-product" // the negative dot product, the smallest is nearest
)

func (m Metric) valid() bool { return m == Cosine || m == Euclidean || m == Dot }

// higher reports whether a higher score is nearer.
func (m Metric) higher() bool { return m == Cosine }

// checkVectors checks a whole mutation before any of it is applied. Errors name
// the vector by its id and, from 1, its line.
func (l *Limits) checkVectors(c *Config, vectors []Vector) error {
	for i := range vectors {
		if err := l.checkVector(c, &vectors[i]); err != nil {
			if len(vectors) > 1 {
				err.Message += fmt.Sprintf(" (line %d)", i+1)
			}
			return err
		}
	}
	return nil
}

func (l *Limits) checkVector(c *Config, v *Vector) *Error {
	switch {
	case v.ID == "":
		return Fail(CodeParse, "a vector has no id")
	case len(v.ID) > l.IDBytes:
		return Fail(CodeLongID, "id too long; max is %d bytes, got %d bytes", l.IDBytes, len(v.ID))
	case !utf8.ValidString(v.ID) || !utf8.ValidString(v.Namespace):
		return Fail(CodeParse, "an id or a namespace is not UTF-8")
	case len(v.Namespace) > l.NamespaceBytes:
		return Fail(CodeLongNamespace, "namespace too long; max is %d bytes, got %d bytes", l.NamespaceBytes, len(v.Namespace))
	case len(v.Values) != c.Dimensions:
		return Fail(CodeVector, "invalid vector for id=%q, expected %d dimensions, and got %d dimensions", v.ID, c.Dimensions, len(v.Values))
	case len(v.Metadata) > l.MetadataBytes:
		return Fail(CodeLongMetadata, "metadata too large for id=%q; max is %d bytes, got %d bytes", v.ID, l.MetadataBytes, len(v.Metadata))
	}
	if problem := checkValues(c.Metric, v.Values); problem != "" {
		return Fail(CodeVector, "invalid vector for id=%q, %s", v.ID, problem)
	}
	if v.Metadata != nil {
		if err := checkMetadata(v.Metadata); err != nil {
			return err
		}
	}
	return nil
}

// checkValues says what is wrong with numbers as a vector, or "".
func checkValues(m Metric, values []float32) string {
	err := ann.Config{Dim: len(values), Metric: m.ann()}.Check(values)
	if wrong, ok := errors.AsType[*ann.VectorError](err); ok {
		return wrong.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
