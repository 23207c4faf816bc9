package wire

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/vectorize/vecjson"
)

// AppendMatches writes the answer to a query.
func AppendMatches(out []byte, matches []vectorize.Match) []byte {
	out = append(out, `{"count":`...)
	out = strconv.AppendInt(out, int64(len(matches)), 10)
	out = append(out, `,"matches":[`...)
	for i := range matches {
		m := &matches[i]
		if i > 0 {
			out = append(out, ',')
		}
		out = vecjson.Append(out, &m.Vector)
		out = append(out[:len(out)-1], `,"score":`...)
		out = vecjson.AppendScore(out, m.Score)
		out = append(out, '}')
	}
	return append(out, "]}"...)
}

// AppendVectors writes vectors as an array.
func AppendVectors(out []byte, vectors []vectorize.Vector) []byte {
	out = append(out, '[')
	for i := range vectors {
		if i > 0 {
			out = append(out, ',')
		}
		out = vecjson.Append(out, &vectors[i])
	}
	return append(out, ']')
}

// AppendInfo writes what an index holds.
func AppendInfo(out []byte, dims int, s *vectorize.Stats) []byte {
	out = append(out, `{"dimensions":`...)
	out = strconv.AppendInt(out, int64(dims), 10)
	out = append(out, `,"vectorCount":`...)
	out = strconv.AppendInt(out, int64(s.Count), 10)
	if s.Mutation == uuid.Nil {
		return append(out, `,"processedUpToDatetime":null,"processedUpToMutation":null}`...)
	}
	out = append(out, `,"processedUpToDatetime":"`...)
	out = s.Processed.AppendFormat(out, time.RFC3339Nano)
	out = append(out, `","processedUpToMutation":"`...)
	out = append(out, s.Mutation.String()...)
	return append(out, `"}`...)
}

// AppendMutation writes the answer to a mutation.
func AppendMutation(out []byte, id uuid.UUID) []byte {
	out = append(out, `{"mutationId":"`...)
	out = append(out, id.String()...)
	return append(out, `"}`...)
}
