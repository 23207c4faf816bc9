package store

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

func TestMigrate(t *testing.T) {
	files := func(texts ...string) []migration {
		m := fstest.MapFS{}
		for i, text := range texts {
			m["m/000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
		}
		list, err := migrations(m, "m")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one, two := "CREATE TABLE a (x); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1"
	check := func(version int, query string, want int) {
		t.Helper()
		have, _, err := readVersion(t.Context(), db.Read())
		if err != nil || have != version {
			t.Errorf("version %d (%v), want %d", have, err, version)
		}
		var got int
		if err := db.Read().QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d (%v), want %d", query, got, err, want)
		}
	}
	if err := migrate(t.Context(), db, files(one)); err != nil {
		t.Fatal(err)
	}
	check(1, "SELECT x FROM a", 1)
	// The third step fails: the second is undone with it.
	if err := migrate(t.Context(), db, files(one, two, "CREATE TABLE b (x); nonsense")); err == nil || !strings.Contains(err.Error(), "0003_step.sql") {
		t.Errorf("error %v, want one that names the step", err)
	}
	check(1, "SELECT count(*) FROM pragma_table_info('a')", 1)
	for range 2 {
		if err := migrate(t.Context(), db, files(one, two)); err != nil {
			t.Fatal(err)
		}
		check(2, "SELECT y FROM a", 2)
	}
}

func TestMigrationNumbers(t *testing.T) {
	for _, names := range [][]string{{"0002_a.sql"}, {"0001_a.sql", "0001_b.sql"}, {"0001_a.sql", "0003_b.sql"}, {"a.sql"}} {
		m := fstest.MapFS{}
		for _, name := range names {
			m["m/"+name] = &fstest.MapFile{}
		}
		if _, err := migrations(m, "m"); err == nil {
			t.Errorf("%v: no error", names)
		}
	}
}
