package vecjson

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// check holds a number that was read against strconv and encoding/json.
func check(t *testing.T, in string) {
	t.Helper()
	x, n, ok := number([]byte(in))
	if n == 0 {
		if json.Valid([]byte(in)) {
			if _, err := strconv.ParseFloat(in, 64); err == nil {
				t.Errorf("%q is not taken for a number", in)
			}
		}
		return
	}
	if !json.Valid([]byte(in[:n])) {
		t.Errorf("%q is taken for a number, which JSON does not know", in[:n])
	}
	want, err := strconv.ParseFloat(in[:n], 32)
	switch {
	case ok != (err == nil):
		t.Errorf("%q: ok is %t, and strconv says %v", in[:n], ok, err)
	case ok && math.Float32bits(x) != math.Float32bits(float32(want)):
		t.Errorf("%q is read as %v (%08x), want %v (%08x)", in[:n], x, math.Float32bits(x), want, math.Float32bits(float32(want)))
	}
}

func TestNumber(t *testing.T) {
	for _, in := range []string{
		"0", "-0", "0.0", "1", "-1.5", "1e5", "1E+5", "1e-5", "123456789012345678901234567890", "0.000000000000000000000000001234567890123456789", "1e38", "3.4028235e38",
		"3.4028236e38", "1e39", "1e-45", "1e-46", "1.17549435e-38", "1e400", "1e-400", "1e99999999999", "00", "01", "1.", ".5", "-", "+1", "1e", "1e+", "NaN", "Infinity",
		"16777217", "16777219", "16777216.999999999999", "16777217.0000000000001", "0.5000000298023224", "8388608.5", "8388609.5", "9007199791611905", "1]",
	} {
		check(t, in)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		f := math.Float32frombits(r.Uint32())
		if f-f != 0 {
			continue
		}
		check(t, strconv.FormatFloat(float64(f), 'g', -1, 32))
		check(t, strconv.FormatFloat(float64(f), 'g', -1, 64))
		// The middle between two neighbours, and what is next to it.
		middle := (float64(f) + float64(math.Nextafter32(f, 2*f+1))) / 2
		for _, x := range []float64{middle, math.Nextafter(middle, 0), math.Nextafter(middle, 2*middle)} {
			check(t, strconv.FormatFloat(x, 'g', -1, 64))
			check(t, strconv.FormatFloat(x, 'f', 25, 64))
		}
		check(t, fmt.Sprintf("%de%d", r.Uint64(), r.IntN(80)-60))
	}
}

// FuzzNumber holds that a number is what strconv and JSON take it for.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-0.25e-7", "16777217", "1e39", "1."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { check(t, in) })
}
