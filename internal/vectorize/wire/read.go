package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

// vectorsPart is the name of the part of a form that holds vectors.
const vectorsPart = "vectors"

// Vectors reads the vectors of an insert or an upsert: newline-delimited JSON, as the
// body or as the part "vectors" of a form, or JSON {"vectors":[…]}. Kind is "insert"
// or "upsert", for the texts of errors; most is how many one call may bring.
func Vectors(body io.Reader, contentType, kind string, most, dims int) ([]vectorize.Vector, error) {
	media, params, err := mime.ParseMediaType(strings.TrimRight(contentType, "; "))
	if err != nil {
		media = ""
	}
	var out []vectorize.Vector
	switch media {
	case "multipart/form-data":
		part, err := vectorsOf(multipart.NewReader(body, params["boundary"]))
		if err != nil {
			return nil, readError(err, kind, most)
		}
		out, err = vecjson.ReadLines(part, most, dims)
		if err != nil {
			return nil, readError(err, kind, most)
		}
		return out, nil
	case "application/json":
		out, err = vecjson.ReadArray(body, most, dims)
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		out, err = vecjson.ReadLines(body, most, dims)
	default:
		return nil, vectorize.Fail(vectorize.CodeContentType, "vectorize.unknown_content_type - send the vectors as application/x-ndjson, as application/json {\"vectors\":[…]}, or as the part \"vectors\" of a form")
	}
	if err != nil {
		return nil, readError(err, kind, most)
	}
	return out, nil
}

// vectorsOf finds the part with the vectors.
func vectorsOf(form *multipart.Reader) (io.Reader, error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, &vecjson.Error{Line: 1, Reason: `the form has no part "vectors"`}
		}
		if err != nil {
			return nil, err
		}
		if part.FormName() == vectorsPart {
			return part, nil
		}
	}
}

func readError(err error, kind string, most int) error {
	if wrong, ok := errors.AsType[*vecjson.Error](err); ok {
		return vectorize.Fail(vectorize.CodeParse, "failed to parse %s vectors request in json format: %s", kind, wrong)
	}
	if _, ok := errors.AsType[*vecjson.TooManyError](err); ok {
		return vectorize.Fail(vectorize.CodeTooMany, "too many vectors in payload; max is %d", most)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "multipart:") {
		return vectorize.Fail(vectorize.CodeParse, "failed to parse %s vectors request: the body breaks off", kind)
	}
	return err
}

// queryJSON is a query as it is sent.
type queryJSON struct {
	TopK           *int            `json:"topK"`
	ReturnValues   bool            `json:"returnValues"`
	ReturnMetadata json.RawMessage `json:"returnMetadata"`
	Namespace      *string         `json:"namespace"`
	Filter         json.RawMessage `json:"filter"`
	Vector         *[]float32      `json:"vector"`
	VectorID       *string         `json:"vectorId"`
	Exact          bool            `json:"exact"` // ours
}

// Query reads a query to an index of so many dimensions.
func Query(body []byte, dims int) (*vectorize.Query, error) {
	var in queryJSON
	// The vector is nearly all of it, and encoding/json is slow with numbers.
	vector, rest, err := vecjson.CutNumbers(body, "vector", dims)
	if err != nil {
		return nil, bodyError(err.Error())
	}
	if err := decode(rest, &in); err != nil {
		return nil, err
	}
	if vector != nil {
		in.Vector = &vector
	}
	q := &vectorize.Query{Namespace: in.Namespace, Filter: in.Filter, ReturnValues: in.ReturnValues, Exact: in.Exact}
	if in.TopK != nil {
		if q.TopK = *in.TopK; q.TopK == 0 {
			q.TopK = -1 // 0 that was asked for is an error, 0 that was not is the default
		}
	}
	switch {
	case in.Vector != nil && in.VectorID != nil, in.Vector == nil && in.VectorID == nil:
		return nil, bodyError("expected either vector or vectorId")
	case in.Vector != nil:
		q.Vector = *in.Vector
	case *in.VectorID == "":
		return nil, bodyError("vectorId: expected an id")
	default:
		q.VectorID = *in.VectorID
	}
	q.Metadata, err = level(in.ReturnMetadata)
	return q, err
}

// level reads returnMetadata. A boolean is what the first version of the API took:
// the runtime turns true into "all" before it sends it, but not false.
func level(raw json.RawMessage) (vectorize.Level, error) {
	switch string(raw) {
	case "", "null", "false", `"none"`:
		return vectorize.MetadataNone, nil
	case `"indexed"`:
		return vectorize.MetadataIndexed, nil
	case "true", `"all"`:
		return vectorize.MetadataAll, nil
	}
	return "", bodyError(`returnMetadata: expected "none", "indexed" or "all"`)
}

// IDs reads {"ids":[…]}.
func IDs(body []byte) ([]string, error) {
	var in struct {
		IDs []string `json:"ids"`
	}
	err := decode(body, &in)
	return in.IDs, err
}

// MetadataIndex reads {"propertyName":…,"indexType":…}.
func MetadataIndex(body []byte) (property string, t vectorize.IndexType, err error) {
	var in struct {
		PropertyName string              `json:"propertyName"`
		IndexType    vectorize.IndexType `json:"indexType"`
	}
	err = decode(body, &in)
	return in.PropertyName, in.IndexType, err
}

// decode reads the one JSON value of body.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	err := d.Decode(v)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return bodyError("more than one value")
		}
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // of a number it holds the digits too
		return bodyError(wrong.Field + ": unexpected " + kind)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return bodyError("it breaks off")
	}
	return bodyError(err.Error())
}

func bodyError(reason string) error {
	return vectorize.Fail(vectorize.CodeBody, "Failed to parse the request body as JSON: %s", reason)
}
