package d1

import (
	"testing"

	"github.com/selvage-dev/selvage/internal/store"
)

type noSink struct{}

func (noSink) Reset()              {}
func (noSink) Result(int, *Result) {}

// BenchmarkPointRead shows what counting costs: the same read with and without it.
func BenchmarkPointRead(b *testing.B) {
	st, err := store.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Store: st, MaxQueries: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = s.Close(), st.Close() })
	info, err := s.Create(b.Context(), "a", CreateOptions{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	db, err := s.Open(b.Context(), info.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Release()
	for _, sql := range []string{
		"CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, age INTEGER)",
		"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<20000) INSERT INTO users SELECT i, 'User ' || i, 'user@example.com', i % 60 FROM t",
	} {
		if err := db.Do(b.Context(), []Query{{SQL: sql}}, noSink{}); err != nil {
			b.Fatal(err)
		}
	}
	recorder := db.recorder
	for name, by := range map[string]*Caller{"counted": {Account: "a", Script: "w", Ray: "0123456789abcdef"}, "counted without a ray": nil, "not counted": nil} {
		b.Run(name, func(b *testing.B) {
			db.recorder = recorder
			if name == "not counted" {
				db.recorder = nil
			}
			q := []Query{{SQL: "SELECT id, name, email, age FROM users WHERE id = ?"}}
			b.ReportAllocs()
			for b.Loop() {
				q[0].Args.Reset()
				q[0].Args.Int(777)
				if err := db.DoFor(b.Context(), by, q, noSink{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	db.recorder = recorder
}
