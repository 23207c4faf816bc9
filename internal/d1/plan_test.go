package d1_test

import (
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/d1"
)

func TestPlansAndProposals(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{})
	db := database(t, s, "papers")
	defer db.Release()
	papers(t, db, 200)
	must(t, db, "CREATE INDEX papers_title ON papers (title)", "CREATE VIRTUAL TABLE docs USING fts5(body)", "CREATE VIEW recent AS SELECT * FROM papers WHERE year > 2020")
	const none = "-"
	for _, c := range []struct {
		sql      string
		scans    int
		proposal string // none, or a part of it
		after    string
	}{
		{"SELECT * FROM papers WHERE id = 3", 0, none, ""},
		{"SELECT * FROM papers WHERE title = 'x'", 0, none, ""},
		{"SELECT * FROM papers WHERE year = 2010", 1, `ON "papers" ("year")`, "SEARCH papers USING INDEX papers_by_year (year=?)"},
		{"SELECT p.title FROM papers AS p WHERE p.year > 2010 AND p.year < 2012", 1, `ON "papers" ("year")`, "SEARCH p USING INDEX"},
		{"SELECT a.name FROM paper_authors pa JOIN authors a ON a.id = pa.author_id WHERE pa.paper_id = 7", 1, `ON "paper_authors" ("paper_id")`, "SEARCH pa USING INDEX"},
		{"SELECT * FROM paper_authors WHERE paper_id = 1 AND author_id = 2 ORDER BY position", 1, `("paper_id", "author_id", "position")`, "SEARCH paper_authors USING"},
		{"SELECT title FROM papers ORDER BY year DESC LIMIT 10", 1, `("year")`, "USING INDEX papers_by_year"},
		{"UPDATE papers SET title = 'n' WHERE year IN (1, 2)", 1, `("year")`, "SEARCH papers USING"},
		{"SELECT * FROM recent WHERE title LIKE 'a%'", 1, none, ""}, // its year is compared in the view
		{"SELECT * FROM papers", 1, none, ""},
		{"SELECT count(*) FROM papers WHERE title LIKE '%a%'", 1, none, ""},
		{"SELECT rowid FROM docs WHERE docs MATCH 'a'", 0, none, ""},
		{"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT n FROM c", 1, none, ""},
	} {
		must(t, db, c.sql)
		found := false
		all := statsAll(t, s)
		plans, err := s.Plans(t.Context(), db.ID(), all)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].Statement != normal(c.sql) {
				continue
			}
			found = true
			p := plans[i]
			if d1.FullScans(p.Steps) < min(c.scans, 1) || c.scans == 0 && d1.FullScans(p.Steps) > 0 || p.Err != "" || len(p.Steps) == 0 {
				t.Errorf("%s: %+v", c.sql, p)
			}
			switch {
			case c.proposal == none && p.Proposal != nil:
				t.Errorf("%s: proposes %s: %v", c.sql, p.Proposal.SQL, p.Proposal.Steps)
			case c.proposal != none && (p.Proposal == nil || !strings.Contains(p.Proposal.SQL, c.proposal)):
				t.Errorf("%s: proposes %+v", c.sql, p.Proposal)
			case c.proposal != none:
				checkProposal(t, db, c.sql, c.after, p.Proposal)
			}
		}
		if !found {
			t.Errorf("%s was not counted", c.sql)
		}
	}
}

// checkProposal holds that the index does to the database what it did to the copy.
func checkProposal(t *testing.T, db *d1.Database, sql, after string, p *d1.Proposal) {
	t.Helper()
	name := strings.Split(p.SQL, `"`)[1]
	must(t, db, p.SQL)
	got := must(t, db, "EXPLAIN QUERY PLAN "+sql)
	must(t, db, `DROP INDEX "`+name+`"`)
	if !strings.Contains(got[0], after) || !strings.Contains(got[0], name) {
		t.Errorf("%s with %s: %s", sql, p.SQL, got[0])
	}
}

func TestPlanOfWhatIsGone(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{})
	db := database(t, s, "a")
	defer db.Release()
	must(t, db, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", "SELECT * FROM t WHERE a = 1", "DROP TABLE t")
	all := statsAll(t, s)
	plans, err := s.Plans(t.Context(), db.ID(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if strings.HasPrefix(all[i].Statement, "SELECT") && plans[i].Err != "no such table: t" {
			t.Errorf("%+v", plans[i])
		}
	}
	must(t, db, "SELECT 1") // the connection is whole
}
