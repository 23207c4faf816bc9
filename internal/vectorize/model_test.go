package vectorize

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/selvage-dev/selvage/internal/store"
)

const account = "a0000000000000000000000000000001"

func newService(t *testing.T, dir string, flushRows int) *Service {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: flushRows, MaxOpen: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T, s *Service, name string) *Index {
	t.Helper()
	x, err := s.Open(t.Context(), account, name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// model is an index as a map.
type model struct {
	metric  Metric
	vectors map[string]Vector
	seqs    map[string]int
	meta    map[string]int // property: the step at which its index was made
}

func (m *model) matches(v *Vector, q *Query) bool {
	if q.Namespace != nil && *q.Namespace != v.Namespace {
		return false
	}
	if q.Filter == nil {
		return true
	}
	var filter map[string]any
	var object map[string]any
	_ = json.Unmarshal(q.Filter, &filter)
	_ = json.Unmarshal(v.Metadata, &object)
	for property, want := range filter {
		value := object[property]
		if m.seqs[v.ID] < m.meta[property] {
			value = nil
		}
		if !holds(value, want) {
			return false
		}
	}
	return true
}

func holds(value, want any) bool {
	ops, ok := want.(map[string]any)
	if !ok {
		return value == want
	}
	for op, arg := range ops {
		var ok bool
		switch op {
		case "$eq":
			ok = value == arg
		case "$ne":
			ok = value != arg
		case "$in", "$nin":
			list, _ := arg.([]any)
			ok = slices.Contains(list, value) == (op == "$in")
		default:
			ok = inRange(op, value, arg)
		}
		if !ok {
			return false
		}
	}
	return true
}

func inRange(op string, value, arg any) bool {
	var n int
	switch v := value.(type) {
	case float64:
		a, same := arg.(float64)
		if !same {
			return false
		}
		n = cmp.Compare(v, a)
	case string:
		a, same := arg.(string)
		if !same {
			return false
		}
		n = cmp.Compare(v, a)
	default:
		return false
	}
	switch op {
	case "$lt":
		return n < 0
	case "$lte":
		return n <= 0
	case "$gt":
		return n > 0
	}
	return n >= 0
}

func (m *model) query(q *Query) []Match {
	var out []Match
	for id := range m.vectors {
		v := m.vectors[id]
		if !m.matches(&v, q) {
			continue
		}
		score := m.metric.score(m.metric.exact(q.Vector, v.Values))
		out = append(out, Match{Vector: v, Score: float32(score)})
	}
	slices.SortFunc(out, func(a, b Match) int {
		c := cmp.Compare(a.Score, b.Score)
		if m.metric.higher() {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.ID, b.ID))
	})
	return out[:min(len(out), q.TopK)]
}

func randomVector(r *rand.Rand, id string) Vector {
	v := Vector{ID: id, Namespace: []string{"", "a", "b"}[r.IntN(3)], Values: make([]float32, 5)}
	for i := range v.Values {
		v.Values[i] = float32(r.NormFloat64())
	}
	if r.IntN(4) > 0 {
		v.Metadata = fmt.Appendf(nil, `{"n":%d,"s":%q,"b":%t}`, r.IntN(6), string('p'+rune(r.IntN(4))), r.IntN(2) == 0)
	}
	return v
}

func randomFilter(r *rand.Rand) json.RawMessage {
	return json.RawMessage([]string{
		`{"n":3}`, `{"n":{"$ne":3}}`, `{"n":{"$in":[1,2,9]}}`, `{"n":{"$nin":[1,2,null]}}`, `{"n":{"$gt":1,"$lte":4}}`, `{"n":{"$lt":2}}`,
		`{"s":"q"}`, `{"s":{"$gte":"q","$lt":"s"}}`, `{"s":{"$gt":"q"}}`, `{"b":true}`, `{"b":{"$ne":true},"n":{"$gte":2}}`, `{"s":null}`, `{"n":"3"}`, `{"s":{"$lt":3}}`,
	}[r.IntN(14)])
}

// TestAgainstModel runs random mutations on an index with very small segments, which
// are merged and opened again meanwhile, and compares everything that it answers with
// a map.
func TestAgainstModel(t *testing.T) {
	for _, metric := range []Metric{Cosine, Euclidean, Dot} {
		t.Run(string(metric), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			runModel(t, metric, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func runModel(t *testing.T, metric Metric, r *rand.Rand) {
	t.Helper()
	dir := t.TempDir()
	s := newService(t, dir, 16)
	if _, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{5, metric}}); err != nil {
		t.Fatal(err)
	}
	m := &model{metric: metric, vectors: map[string]Vector{}, seqs: map[string]int{}, meta: map[string]int{}}
	x := open(t, s, "x")
	for step := range 400 {
		switch step {
		case 30:
			index(t, x, m, "n", IndexNumber, step)
		case 60:
			index(t, x, m, "s", IndexString, step)
			index(t, x, m, "b", IndexBoolean, step)
		}
		m.mutate(t, x, r, step)
		if step%7 == 0 {
			m.compare(t, x, r, step >= 60)
		}
		if step%50 == 49 {
			x.Release()
			reopen(t, s)
			x = open(t, s, "x")
			m.compare(t, x, r, step >= 60)
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	if len(x.segs) == 0 {
		t.Error("there never was a segment")
	}
	x.Release()
}

// reopen closes what is open, as the bound on open indexes does.
func reopen(t *testing.T, s *Service) {
	t.Helper()
	for _, name := range []string{"other1", "other2", "other3"} {
		if _, err := s.Create(t.Context(), account, CreateOptions{Name: name, Config: Config{1, Dot}}); err != nil {
			if own, ok := err.(*Error); !ok || own.Code != CodeDuplicate { //nolint:errorlint // it is the service's own
				t.Fatal(err)
			}
		}
		open(t, s, name).Release()
	}
}

func index(t *testing.T, x *Index, m *model, property string, kind IndexType, step int) {
	t.Helper()
	if _, err := x.CreateMetadataIndex(t.Context(), property, kind); err != nil {
		t.Fatal(err)
	}
	m.meta[property] = step
}

func (m *model) mutate(t *testing.T, x *Index, r *rand.Rand, step int) {
	t.Helper()
	var err error
	switch op := r.IntN(10); {
	case op < 8:
		vectors := make([]Vector, 1+r.IntN(6))
		for i := range vectors {
			vectors[i] = randomVector(r, fmt.Sprintf("id%d", r.IntN(150)))
		}
		for _, v := range vectors {
			if _, there := m.vectors[v.ID]; op < 5 || !there {
				m.vectors[v.ID], m.seqs[v.ID] = v, step
			}
		}
		if op < 5 {
			_, err = x.Upsert(t.Context(), vectors)
		} else {
			_, err = x.Insert(t.Context(), vectors)
		}
	default:
		ids := []string{fmt.Sprintf("id%d", r.IntN(150)), fmt.Sprintf("id%d", r.IntN(150))}
		for _, id := range ids {
			delete(m.vectors, id)
		}
		_, err = x.Delete(t.Context(), ids)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) compare(t *testing.T, x *Index, r *rand.Rand, filters bool) { //nolint:revive // whether there are metadata indexes
	t.Helper()
	if got := x.Stats().Count; got != len(m.vectors) {
		t.Errorf("%d vectors, want %d", got, len(m.vectors))
	}
	var ids []string
	for cursor := ""; ; {
		p, err := x.List(7, cursor)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.IDs...)
		if cursor = p.Cursor; cursor == "" {
			break
		}
	}
	want := make([]string, 0, len(m.vectors))
	for id := range m.vectors {
		want = append(want, id)
	}
	slices.Sort(want)
	if d := gocmp.Diff(want, ids, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the list (-want +got):\n%s", d)
	}
	for range 5 {
		q := &Query{Vector: randomVector(r, "").Values, TopK: 1 + r.IntN(20), ReturnValues: true, Metadata: MetadataAll}
		if ns := []string{"", "a", "none"}[r.IntN(3)]; r.IntN(2) == 0 {
			q.Namespace = &ns
		}
		if filters && r.IntN(3) > 0 {
			q.Filter = randomFilter(r)
		}
		got, err := x.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		near := gocmp.Comparer(func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-4 })
		if d := gocmp.Diff(m.query(q), got, near, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("query %s in %v (-want +got):\n%s", q.Filter, q.Namespace, d)
		}
	}
	for id, v := range m.vectors {
		got, err := x.Get([]string{id, "nobody"})
		if err != nil || len(got) != 1 {
			t.Fatalf("get %s: %v, %v", id, got, err)
		}
		if d := gocmp.Diff(v, got[0], cmpopts.EquateEmpty()); d != "" {
			t.Errorf("get %s (-want +got):\n%s", id, d)
		}
		break
	}
}
