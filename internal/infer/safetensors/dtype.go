package safetensors

import "fmt"

// DType is how a tensor stores a number.
type DType string

// What the format has, as far as models use it.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// size is the bytes of one number.
func (d DType) size() (int64, error) {
	switch d {
	case F64, I64:
		return 8, nil
	case F32, I32:
		return 4, nil
	case F16, BF16, I16:
		return 2, nil
	case I8, U8, Bool:
		return 1, nil
	}
	return 0, fmt.Errorf("%w: a tensor of the unknown type %.20q", ErrInvalid, string(d))
}
