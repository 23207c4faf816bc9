package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// d1Rows is a database with a million rows, a million that join them, and 200,000 documents.
var d1Rows = []string{ //nolint:gochecknoglobals // a constant
	"CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, age INTEGER, score REAL, created TEXT)",
	"CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER, price REAL, status TEXT)",
	"CREATE VIRTUAL TABLE docs USING fts5(body)",
	"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<1000000) INSERT INTO users SELECT i,'User Number '||i,'user'||i||'@example.com',18+(i*7919)%60,((i*104729)%100000)/100.0,'2026-11-23T09:00:00Z' FROM t",
	"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<1000000) INSERT INTO orders SELECT i,1+(i*7919)%1000000,((i*104729)%1000000)/100.0,CASE i%4 WHEN 0 THEN 'paid' WHEN 1 THEN 'open' ELSE 'void' END FROM t",
	"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<200000) INSERT INTO docs SELECT 'paper word'||(i%997)||' about term'||(i%89)||' and topic'||(i%13)||' alpha beta gamma' FROM t",
}

// d1Heavy are statements that SQLite itself is busy with.
var d1Heavy = []struct{ name, sql string }{ //nolint:gochecknoglobals // a constant
	{"FTS5 over 200,000 documents", "SELECT rowid, bm25(docs) FROM docs WHERE docs MATCH 'topic7 AND alpha' ORDER BY rank LIMIT 10"},
	{"a join over 1M rows", "SELECT u.age, count(*), sum(o.price) FROM orders o JOIN users u ON u.id = o.user_id WHERE o.status = 'paid' GROUP BY u.age ORDER BY u.age"},
	{"window functions", "SELECT max(r), sum(s) FROM (SELECT rank() OVER (PARTITION BY age ORDER BY score) AS r, sum(score) OVER (PARTITION BY age ORDER BY id ROWS 10 PRECEDING) AS s FROM users WHERE id <= 200000)"},
}

// d1Driver runs a statement in SQLite without anything around it: the statement is read
// from its arguments, the milliseconds of every run are printed.
const d1Driver = `#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "sqlite3-binding.h"
int main(int argc, char **argv) {
  sqlite3 *db; sqlite3_stmt *s; (void)argc;
  if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, 0)) return 1;
  sqlite3_busy_timeout(db, 5000);
  sqlite3_exec(db, "PRAGMA temp_store=FILE; PRAGMA cache_size=-8000; PRAGMA query_only=1", 0, 0, 0);
  if (sqlite3_prepare_v2(db, argv[2], -1, &s, 0)) { fprintf(stderr, "%s\n", sqlite3_errmsg(db)); return 1; }
  for (int i = atoi(argv[3]); i > 0; i--) {
    struct timespec a, b; int rc;
    clock_gettime(CLOCK_MONOTONIC, &a);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) for (int c = 0; c < sqlite3_column_count(s); c++) sqlite3_column_text(s, c);
    if (rc != SQLITE_DONE) { fprintf(stderr, "%s\n", sqlite3_errmsg(db)); return 1; }
    sqlite3_reset(s);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%f\n", (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
  }
}`

func d1Load(ctx context.Context, b *bench) error {
	p, err := b.platform("", "SELVAGE_D1_QUERY_TIME=5m")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deployD1(ctx); err != nil {
		return err
	}
	if _, err := get(ctx, p.EdgeURL+"/hello", p.host("db")); err != nil { // starts the worker
		return err
	}
	socket, err := p.doorSocket("d1-0.sock")
	if err != nil {
		return err
	}
	for _, sql := range d1Rows {
		if _, err := askD1(ctx, socket, sql); err != nil {
			return err
		}
	}
	if err := b.heavySQL(ctx, p, socket); err != nil {
		return err
	}
	if err := b.thousandClients(ctx, socket); err != nil {
		return err
	}
	return b.thousandDatabases(ctx, p)
}

// askD1 runs one statement at a binding's socket and returns how long it took.
func askD1(ctx context.Context, socket, sql string) (time.Duration, error) {
	var took time.Duration
	asked := false
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	var began time.Time
	var answers atomic.Int64
	err := loadOne(stop, socket, func() (string, string) {
		if asked {
			took = time.Since(began)
			cancel()
		}
		asked = true
		began = time.Now()
		if stop.Err() != nil {
			return "/query", `{"sql":"SELECT 1"}`
		}
		return "/query", fmt.Sprintf(`{"sql":%q}`, sql)
	}, &answers)
	return took, err
}

// heavySQL compares statements that keep SQLite busy with SQLite in C, compiled from the same
// source with the same flags, on the same file.
func (b *bench) heavySQL(ctx context.Context, p *platform, socket string) error {
	driver, err := b.sqliteDriver(ctx)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(p.data, "d1", "*", "db.sqlite"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("%d databases, wanted one: %w", len(files), err)
	}
	for _, q := range d1Heavy {
		var ours, theirs []float64
		for range max(b.rounds, 5) {
			for i := range 3 { // as below: the first reads what the other has pushed out of the processor
				took, err := askD1(ctx, socket, q.sql)
				if err != nil {
					return err
				}
				if i > 0 {
					ours = append(ours, float64(took.Microseconds())/1000)
				}
			}
			out, err := exec.CommandContext(ctx, driver, files[0], q.sql, "3").Output()
			if err != nil {
				return fmt.Errorf("%s in C: %w", q.name, err)
			}
			for _, run := range strings.Fields(string(out))[1:] { // the first reads the file
				ms, err := strconv.ParseFloat(run, 64)
				if err != nil {
					return err
				}
				theirs = append(theirs, ms)
			}
		}
		b.report.add("d1-load", q.name+", selvage", slices.Min(ours), "ms")
		b.report.add("d1-load", q.name+", SQLite in C", slices.Min(theirs), "ms")
		b.report.want("d1-load", q.name+": SQLite in C / selvage", slices.Min(theirs)/slices.Min(ours), "×", ">=", 0.95)
	}
	return nil
}

// sqliteDriver compiles d1Driver with the amalgamation of this program and its flags.
func (b *bench) sqliteDriver(ctx context.Context) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mattn/go-sqlite3").Output()
	if err != nil {
		return "", fmt.Errorf("find the amalgamation: %w", err)
	}
	source, out := filepath.Join(b.dir, "driver.c"), filepath.Join(b.dir, "sqlite-driver")
	if err := os.WriteFile(source, []byte(d1Driver), 0o600); err != nil {
		return "", err
	}
	const script = `eval "cc $CGO_CFLAGS -DSQLITE_THREADSAFE=1 -DSQLITE_ENABLE_RTREE -I'$1' '$2' '$1/sqlite3-binding.c' -o '$3' -lm -lpthread -ldl"`
	cc := exec.CommandContext(ctx, "sh", "-c", script, "sh", strings.TrimSpace(string(dir)), source, out)
	if text, err := cc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile SQLite: %w: %.500s", err, text)
	}
	return out, nil
}

// thousandClients asks with 1,000 connections, each four times a second, for rows of a million.
func (b *bench) thousandClients(ctx context.Context, socket string) error {
	const clients, pause = 1000, 250 * time.Millisecond
	stop, cancel := context.WithTimeout(ctx, b.seconds*2+time.Second)
	defer cancel()
	times := make([][]time.Duration, clients)
	failed := make([]int, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { times[i], failed[i] = pacedClient(stop, socket, pause) })
	}
	wg.Wait()
	var all []float64
	fewest, failures := 1<<30, 0
	for i := range clients {
		fewest, failures = min(fewest, len(times[i])), failures+failed[i]
		for _, d := range times[i] {
			all = append(all, float64(d.Microseconds())/1000)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("none of %d clients had an answer", clients)
	}
	mean := float64(len(all)) / clients
	b.report.add("d1-load", "1,000 clients, each four times a second: point reads", float64(len(all))/(b.seconds*2+time.Second).Seconds(), "/s")
	b.report.want("d1-load", "1,000 clients on 1M rows: p95 of a point read", quantile(all, 0.95), "ms", "<=", 50)
	b.report.add("d1-load", "1,000 clients on 1M rows: p99 of a point read", quantile(all, 0.99), "ms")
	b.report.want("d1-load", "1,000 clients on 1M rows: answered", 100*float64(len(all))/float64(len(all)+failures), "%", ">=", 99.99)
	b.report.want("d1-load", "1,000 clients on 1M rows: answers of the slowest client / the mean", float64(fewest)/mean, "×", ">=", 0.5)
	return nil
}

// pacedClient asks once in a pause, the first time after a part of one.
func pacedClient(ctx context.Context, socket string, pause time.Duration) (times []time.Duration, failed int) {
	time.Sleep(rand.N(pause))
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, 1
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	t := time.NewTicker(pause)
	defer t.Stop()
	for ctx.Err() == nil {
		body := fmt.Sprintf(`{"sql":%q,"params":[%d]}`, d1Point, 1+rand.IntN(1_000_000))
		began := time.Now()
		fmt.Fprintf(conn, "POST /query HTTP/1.1\r\nHost: d1\r\nContent-Length: %d\r\n\r\n%s", len(body), body) //nolint:errcheck // the answer tells
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return times, failed + 1
		}
		text, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Contains(text, []byte("User Number")) {
			failed++
		} else {
			times = append(times, time.Since(began))
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return times, failed
}

// thousandDatabases opens 1,000 databases one after the other and shows what stays.
func (b *bench) thousandDatabases(ctx context.Context, p *platform) error {
	const n = 1000
	before, err := resident(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	var ids []string
	for i := range n {
		db, err := p.client.CreateD1(ctx, fmt.Sprintf("many-%d", i))
		if err != nil {
			return err
		}
		ids = append(ids, db.UUID)
		if _, err := p.client.QueryD1(ctx, db.UUID, "CREATE TABLE t (a); INSERT INTO t VALUES (1)"); err != nil {
			return err
		}
	}
	b.report.add("d1-load", "make a database and its first table", float64(time.Since(began).Milliseconds())/n, "ms")
	var reopen []float64
	for range n {
		began := time.Now()
		if _, err := p.client.QueryD1(ctx, ids[rand.IntN(n)], "SELECT * FROM t"); err != nil {
			return err
		}
		reopen = append(reopen, float64(time.Since(began).Microseconds())/1000)
	}
	after, err := resident(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.report.add("d1-load", "read from one of 1,000 databases, most of them closed, p50", quantile(reopen, 0.5), "ms")
	b.report.add("d1-load", "memory of the platform before 1,000 databases", before, "MB")
	b.report.want("d1-load", "memory that 1,000 databases, opened in turn, have added", after-before, "MB", "<=", 100)
	return nil
}
