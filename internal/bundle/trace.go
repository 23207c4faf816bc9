package bundle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Trace replaces the places in a stack trace, such as "index.js:3:7", by those
// in the sources, where the maps know them.
func Trace(text string, maps []Module) string {
	for _, m := range maps {
		t, err := parseMap(m.Content)
		if err != nil {
			continue // the trace stays readable as it is
		}
		script := strings.TrimSuffix(m.Name, ".map")
		re := regexp.MustCompile(`(^|[\s(/])` + regexp.QuoteMeta(script) + `:(\d+):(\d+)`)
		text = re.ReplaceAllStringFunc(text, func(at string) string {
			g := re.FindStringSubmatch(at)
			line, errLine := strconv.Atoi(g[2])
			column, errColumn := strconv.Atoi(g[3])
			if errLine != nil || errColumn != nil {
				return at
			}
			source, ok := t.find(line-1, column-1)
			if !ok {
				return at
			}
			return strings.TrimSuffix(g[1], "/") + source
		})
	}
	return text
}

// mapping is one segment: a place in the script and one in a source, all from 0.
type mapping struct{ column, source, line, sourceColumn int }

type sourceTable struct {
	sources []string
	lines   [][]mapping
}

// find returns the place in the sources of one in the script, both from 0.
func (t *sourceTable) find(line, column int) (string, bool) {
	if line < 0 || line >= len(t.lines) {
		return "", false
	}
	segments := t.lines[line]
	i := sort.Search(len(segments), func(i int) bool { return segments[i].column > column }) - 1
	if i < 0 || segments[i].source < 0 || segments[i].source >= len(t.sources) {
		return "", false
	}
	s := segments[i]
	return fmt.Sprintf("%s:%d:%d", t.sources[s.source], s.line+1, s.sourceColumn+1), true
}

// parseMap reads a source map (ECMA-426, version 3).
func parseMap(text []byte) (*sourceTable, error) {
	var m struct {
		Sources  []string `json:"sources"`
		Mappings string   `json:"mappings"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	t := &sourceTable{sources: m.Sources}
	var state [4]int // column, source, line, column of the source
	for group := range strings.SplitSeq(m.Mappings, ";") {
		var line []mapping
		state[0] = 0
		for segment := range strings.SplitSeq(group, ",") {
			if segment == "" {
				continue
			}
			fields, err := decodeVLQ(segment)
			if err != nil {
				return nil, err
			}
			for i := range min(len(fields), len(state)) {
				state[i] += fields[i]
			}
			at := mapping{column: state[0], source: -1}
			if len(fields) >= len(state) {
				at.source, at.line, at.sourceColumn = state[1], state[2], state[3]
			}
			line = append(line, at)
		}
		t.lines = append(t.lines, line)
	}
	return t, nil
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decodeVLQ reads the numbers of one segment: five bits a digit, the sixth says
// that there is more, the lowest of the first is the sign.
func decodeVLQ(segment string) ([]int, error) {
	const (
		bits = 5
		more = 1 << bits
		most = 30 // bits of a number
	)
	var out []int
	value, shift := 0, 0
	for _, c := range []byte(segment) {
		digit := strings.IndexByte(base64Digits, c)
		if digit < 0 || shift > most {
			return nil, fmt.Errorf("the source map's segment %q is not valid", segment)
		}
		value |= (digit & (more - 1)) << shift
		if digit&more != 0 {
			shift += bits
			continue
		}
		n := value >> 1
		if value&1 != 0 {
			n = -n
		}
		out = append(out, n)
		value, shift = 0, 0
	}
	if shift != 0 {
		return nil, fmt.Errorf("the source map's segment %q is cut off", segment)
	}
	return out, nil
}
