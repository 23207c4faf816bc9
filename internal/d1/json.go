package d1

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// AppendTable appends the rows as {"columns":[…],"rows":[[…],…]}.
func (r *Result) AppendTable(dst []byte) []byte {
	dst = append(dst, `{"columns":[`...)
	for i, c := range r.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = native.AppendString(dst, []byte(c))
	}
	dst = append(dst, `],"rows":`...)
	return append(native.AppendArrays(dst, r.Rows, len(r.Columns)), '}')
}

// AppendJSON appends the meta object that D1 returns with every result.
func (m *Meta) AppendJSON(dst []byte) []byte {
	ms := float64(m.Duration.Microseconds()) / 1000
	dst = append(dst, `{"served_by":"selvage","served_by_region":"local","served_by_primary":true,"timings":{"sql_duration_ms":`...)
	dst = strconv.AppendFloat(dst, ms, 'f', -1, 64)
	dst = append(dst, `},"duration":`...)
	dst = strconv.AppendFloat(dst, ms, 'f', -1, 64)
	dst = append(dst, `,"changes":`...)
	dst = strconv.AppendInt(dst, m.Changes, 10)
	dst = append(dst, `,"last_row_id":`...)
	dst = strconv.AppendInt(dst, m.LastRowID, 10)
	dst = append(dst, `,"changed_db":`...)
	dst = strconv.AppendBool(dst, m.ChangedDB)
	dst = append(dst, `,"size_after":`...)
	dst = strconv.AppendInt(dst, m.SizeAfter, 10)
	dst = append(dst, `,"rows_read":`...)
	dst = strconv.AppendInt(dst, m.RowsRead, 10)
	dst = append(dst, `,"rows_written":`...)
	dst = strconv.AppendInt(dst, m.RowsWritten, 10)
	return append(dst, `,"total_attempts":1}`...)
}

// AppendParam appends a parameter that is a JSON value: null, a boolean (0 or 1),
// a number, a string, or an array of bytes.
func AppendParam(a *native.Args, raw json.RawMessage) error {
	if len(raw) == 0 {
		return fail(CodeInvalid, "A parameter is missing")
	}
	switch raw[0] {
	case 'n':
		a.Null()
	case 't':
		a.Float(1)
	case 'f':
		a.Float(0)
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return badParam(raw, err)
		}
		a.Text(s)
	case '[':
		var numbers []uint8AsNumber
		if err := json.Unmarshal(raw, &numbers); err != nil {
			return badParam(raw, err)
		}
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		a.Blob(b)
	case '{':
		return badParam(raw, nil)
	default:
		return appendNumber(a, raw)
	}
	return nil
}

// uint8AsNumber keeps encoding/json from taking a slice of bytes for base64.
type uint8AsNumber uint8

// appendNumber binds a number as what it is in JavaScript, which has one kind: a
// column of integers makes an integer of it.
func appendNumber(a *native.Args, raw json.RawMessage) error {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(f, 0) {
		return badParam(raw, err)
	}
	a.Float(f)
	return nil
}

func badParam(raw json.RawMessage, err error) error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf("D1_TYPE_ERROR: the parameter %s is none that a statement can take: null, a number, a string, a boolean or an array of bytes", clip(string(raw))), Err: err}
}
