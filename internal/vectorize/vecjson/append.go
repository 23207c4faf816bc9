package vecjson

import (
	"encoding/json"
	"math"
	"strconv"
)

// Append writes a vector. Values are written with the digits of 64 bits, as the
// platform does.
func Append(out []byte, v *Vector) []byte {
	out = append(out, `{"id":`...)
	out = AppendString(out, v.ID)
	if v.Namespace != "" {
		out = append(out, `,"namespace":`...)
		out = AppendString(out, v.Namespace)
	}
	if v.Values != nil {
		out = append(out, `,"values":`...)
		out = AppendValues(out, v.Values)
	}
	if v.Metadata != nil {
		out = append(out, `,"metadata":`...)
		out = append(out, v.Metadata...)
	}
	return append(out, '}')
}

// AppendValues writes numbers as an array.
func AppendValues(out []byte, values []float32) []byte {
	out = append(out, '[')
	for i, x := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendFloat(out, float64(x), 64)
	}
	return append(out, ']')
}

// AppendScore writes a score with the digits of 32 bits, which it has.
func AppendScore(out []byte, x float32) []byte { return appendFloat(out, float64(x), 32) }

func appendFloat(out []byte, x float64, bits int) []byte {
	format := byte('f')
	if abs := math.Abs(x); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, x, format, -1, bits)
}

// AppendString writes a string.
func AppendString(out []byte, s string) []byte {
	raw, _ := json.Marshal(s) // a string always encodes
	return append(out, raw...)
}
