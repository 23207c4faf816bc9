package gguf

import "fmt"

// kind is the type of a value in the file.
type kind uint32

const (
	kindUint8 kind = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// size is the bytes of a value of fixed length, or 0.
func (k kind) size() int {
	switch k {
	case kindUint8, kindInt8, kindBool:
		return 1
	case kindUint16, kindInt16:
		return 2
	case kindUint32, kindInt32, kindFloat32:
		return 4
	case kindUint64, kindInt64, kindFloat64:
		return 8
	case kindString, kindArray:
	}
	return 0
}

// String returns a string of the metadata, or fallback if there is none. A value
// of another type is an error, here and below.
func (f *File) String(key, fallback string) (string, error) {
	switch v := f.values[key].(type) {
	case nil:
		return fallback, nil
	case string:
		return v, nil
	default:
		return "", wrong(key, v, "a string")
	}
}

// Uint returns a number that is not negative and fits an int32.
func (f *File) Uint(key string, fallback int) (int, error) {
	const most = 1<<31 - 1
	switch v := f.values[key].(type) {
	case nil:
		return fallback, nil
	case uint64:
		if v <= most {
			return int(v), nil
		}
		return 0, invalid("%s is %d", key, v)
	case int64:
		if v >= 0 && v <= most {
			return int(v), nil
		}
		return 0, invalid("%s is %d", key, v)
	default:
		return 0, wrong(key, v, "a whole number")
	}
}

// Float returns a number.
func (f *File) Float(key string, fallback float64) (float64, error) {
	switch v := f.values[key].(type) {
	case nil:
		return fallback, nil
	case float64:
		return v, nil
	default:
		return 0, wrong(key, v, "a fraction")
	}
}

// Bool returns a truth value.
func (f *File) Bool(key string, fallback bool) (bool, error) {
	switch v := f.values[key].(type) {
	case nil:
		return fallback, nil
	case bool:
		return v, nil
	default:
		return false, wrong(key, v, "true or false")
	}
}

// Strings returns an array of strings; nil if there is none.
func (f *File) Strings(key string) ([]string, error) { return list[string](f, key, "strings") }

// Floats returns an array of numbers; nil if there is none.
func (f *File) Floats(key string) ([]float64, error) { return list[float64](f, key, "fractions") }

// Ints returns an array of whole numbers; nil if there is none.
func (f *File) Ints(key string) ([]int64, error) { return list[int64](f, key, "signed whole numbers") }

func list[T any](f *File, key, what string) ([]T, error) {
	switch v := f.values[key].(type) {
	case nil:
		return nil, nil
	case []T:
		return v, nil
	default:
		return nil, wrong(key, v, "a list of "+what)
	}
}

// Has reports whether the metadata has the key.
func (f *File) Has(key string) bool { _, ok := f.values[key]; return ok }

func wrong(key string, v any, want string) error {
	return fmt.Errorf("%w: %s is a %T, not %s", ErrInvalid, key, v, want)
}
