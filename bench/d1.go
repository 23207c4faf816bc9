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
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// The statements of the D1 suite.
const (
	d1Point  = "SELECT id,name,email,age,score,created FROM users WHERE id=?"
	d1Range  = "SELECT id,user_id,product,qty,price,status,created,note FROM orders WHERE id>=? LIMIT 100"
	d1Insert = "INSERT INTO ins(a,b,c) VALUES(?,?,?)"
)

// d1Script reads and writes as an app does.
const d1Script = `const rnd = (n) => Math.random() * n | 0;
const fill = ["CREATE TABLE IF NOT EXISTS users(id INTEGER PRIMARY KEY,name TEXT,email TEXT,age INTEGER,score REAL,created TEXT)",
	"CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY,user_id INTEGER,product TEXT,qty INTEGER,price REAL,status TEXT,created TEXT,note TEXT)",
	"CREATE TABLE IF NOT EXISTS ins(id INTEGER PRIMARY KEY,a TEXT,b INTEGER,c REAL)",
	"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<20000) INSERT OR IGNORE INTO users SELECT i,'User Number '||i,'user'||i||'@example.com',18+(i*7919)%60,((i*104729)%100000)/100.0,'2026-11-23T09:00:00Z' FROM t",
	"WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i<20000) INSERT OR IGNORE INTO orders SELECT i,1+(i*7919)%20000,'product-'||(i%26),1+i%10,((i*104729)%1000000)/100.0,CASE i%4 WHEN 0 THEN 'paid' WHEN 1 THEN 'open' WHEN 2 THEN 'shipped' ELSE 'void' END,'2026-11-23T09:00:00Z','note alpha '||(i%97) FROM t"];
export default { async fetch(r, env) {
	switch (new URL(r.url).pathname) {
	case "/point": return Response.json((await env.DB.prepare("` + d1Point + `").bind(rnd(20000) + 1).all()).results);
	case "/range": return Response.json((await env.DB.prepare("` + d1Range + `").bind(rnd(19800) + 1).all()).results);
	case "/insert": return Response.json((await env.DB.prepare("` + d1Insert + `").bind("hello world this is a value", rnd(1e6), 3.25).run()).meta);
	case "/batch": { const s = env.DB.prepare("` + d1Insert + `"); return Response.json((await env.DB.batch(Array.from({ length: 100 }, (_, i) => s.bind("hello world this is a value", i, 3.25)))).length); }
	case "/fill": for (const s of fill) await env.DB.prepare(s).run(); return new Response("ok");
	default: return new Response("hello");
	}
} }`

// d1Miniflare runs d1Script in Miniflare by its own API, with its database on disk.
const d1Miniflare = `const { Miniflare, convertV4MiniflareOptions } = require(process.argv[2]);
const mf = new Miniflare(convertV4MiniflareOptions({ modules: true, script: require("fs").readFileSync(process.argv[3], "utf8"),
	compatibilityDate: "2026-09-01", d1Databases: { DB: "bench" }, d1Persist: process.argv[4], host: "127.0.0.1", port: Number(process.argv[5]), cf: false }));
mf.ready.catch((e) => { console.error(e); process.exit(1); });`

func d1Databases(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deployD1(ctx); err != nil {
		return err
	}
	mf, mfURL, err := b.scriptInMiniflare("d1", d1Miniflare, d1Script)
	if err != nil {
		return err
	}
	defer mf.stop()
	for _, c := range []struct{ url, host string }{{p.EdgeURL + "/fill", p.host("db")}, {mfURL + "fill", ""}} {
		if err := filled(ctx, c.url, c.host); err != nil {
			return err
		}
	}
	socket, err := p.doorSocket("d1-0.sock")
	if err != nil {
		return err
	}
	canned, stop, err := b.cannedD1(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, test := range []struct {
		path, what string
		bound      float64 // at the binding's socket, against Miniflare's worker
		ceiling    bool    // bounded by the canned answer too
	}{
		{"point", "point reads", 4, true},
		{"range", "reads of 100 rows", 4, false},
		{"insert", "durable inserts", 3, false},
		{"batch", "batches of 100 inserts", 4, false},
	} {
		us := &contender{name: "selvage", url: p.EdgeURL + "/" + test.path, host: p.host("db")}
		them := &contender{name: "Miniflare", url: mfURL + test.path}
		cs := []*contender{us, them}
		if test.ceiling {
			cs = append(cs, canned)
		}
		if err := b.race(ctx, cs); err != nil {
			return err
		}
		var door []float64
		for range b.rounds {
			rate, err := b.socketLoad(ctx, socket, test.path)
			if err != nil {
				return err
			}
			door = append(door, rate)
		}
		b.report.add("d1", test.what+" through a worker, selvage", median(us.rates), "/s")
		b.report.add("d1", test.what+" through a worker, Miniflare", median(them.rates), "/s")
		b.report.add("d1", test.what+" through a worker: selvage / Miniflare", ratio(us, them), "×")
		b.report.add("d1", test.what+" at the binding's socket", median(door), "/s")
		b.report.want("d1", test.what+" at the binding's socket / Miniflare's worker", median(door)/median(them.rates), "×", ">=", test.bound)
		if test.ceiling {
			b.report.add("d1", test.what+", workerd alone with a canned answer: the ceiling", median(canned.rates), "/s")
			b.report.want("d1", test.what+" through a worker / the ceiling", ratio(us, canned), "×", ">=", 0.9)
		}
	}
	return b.readsBesideWriter(ctx, socket)
}

// d1Workerd is workerd alone with the same worker and a D1 that is a socket.
const d1Workerd = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker", esModule = embed "index.js")], compatibilityDate = "2026-09-01",
      bindings = [(name = "DB", wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = "d1")]))])),
    (name = "d1", external = (address = "unix:d1.sock", http = ())) ],
  sockets = [(name = "http", address = "%s", http = (), service = "main")]);`

// cannedD1 is the same worker in workerd alone, on a D1 that knows one answer: what
// a worker can ask of a binding at all.
func (b *bench) cannedD1(ctx context.Context) (*contender, func(), error) {
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "canned-")
	if err != nil {
		return nil, nil, err
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "unix", filepath.Join(dir, "d1.sock"))
	if err != nil {
		return nil, nil, err
	}
	const answer = `{"success":true,"results":{"columns":["id","name","email","age","score","created"],"rows":[[1,"User Number 1","user1@example.com",77,47.29,"2026-11-23T09:00:00Z"]]},"meta":{"duration":0.01,"changes":0,"rows_read":1}}`
	canned := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Date"] = nil
		_, _ = io.WriteString(w, answer)
	})}
	go func() { _ = canned.Serve(l) }()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for name, text := range map[string]string{"index.js": d1Script, "config.capnp": fmt.Sprintf(d1Workerd, address)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	w, err := b.start(nil, dir, "workerd", "serve", "config.capnp")
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		w.stop()
		_ = canned.Close()
	}
	return &contender{name: "workerd alone with a canned answer", url: "http://" + address + "/point"}, stop, nil
}

// readsBesideWriter measures what a writer takes from readers.
func (b *bench) readsBesideWriter(ctx context.Context, socket string) error {
	var ratios []float64
	for range b.rounds {
		alone, err := b.socketLoad(ctx, socket, "point")
		if err != nil {
			return err
		}
		stop, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = socketRate(stop, socket, 1, b.seconds*2, d1Request("insert")) })
		beside, err := b.socketLoad(ctx, socket, "point")
		cancel()
		wg.Wait()
		if err != nil {
			return err
		}
		ratios = append(ratios, beside/alone)
	}
	b.report.want("d1", "point reads beside a writer / without one", median(ratios), "×", ">=", 0.8)
	return nil
}

// deployD1 makes a database and the worker "db" with a binding to it.
func (p *platform) deployD1(ctx context.Context) error {
	db, err := p.client.CreateD1(ctx, "bench")
	if err != nil {
		return err
	}
	_, err = p.client.Deploy(ctx, "db", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(d1Script)}},
		Bindings:          []any{map[string]string{"type": "d1", "name": "DB", "id": db.UUID}},
		CompatibilityDate: "2026-09-01",
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, "db", true, nil)
	}
	return err
}

// doorSocket finds a socket of the only worker that runs in its private folder.
func (p *platform) doorSocket(name string) (string, error) { //nolint:unparam // a socket of any service
	var found []string
	root := filepath.Join(p.data, "run")
	if link, err := os.Readlink(root); err == nil {
		root = link
	}
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == name {
			found = append(found, path)
		}
		return nil
	})
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%d sockets %s below %s, wanted one: %w", len(found), name, root, err)
	}
	return found[0], nil
}

// socketLoad asks a D1 binding's socket from several connections and returns the
// answers in a second.
func (b *bench) socketLoad(ctx context.Context, socket, kind string) (float64, error) {
	return socketRate(ctx, socket, 16, b.seconds, d1Request(kind))
}

// d1Request makes the body of one call of a binding.
func d1Request(kind string) func() (path, body string) {
	insert := func() string {
		return fmt.Sprintf(`{"sql":%q,"params":["hello world this is a value",%d,3.25]}`, d1Insert, rand.IntN(1_000_000))
	}
	return func() (string, string) {
		switch kind {
		case "point":
			return "/query?resultsFormat=ROWS_AND_COLUMNS", fmt.Sprintf(`{"sql":%q,"params":[%d]}`, d1Point, 1+rand.IntN(20_000))
		case "range":
			return "/query?resultsFormat=ROWS_AND_COLUMNS", fmt.Sprintf(`{"sql":%q,"params":[%d]}`, d1Range, 1+rand.IntN(19_800))
		case "insert":
			return "/execute?resultsFormat=NONE", insert()
		}
		all := make([]string, 100)
		for i := range all {
			all[i] = insert()
		}
		return "/query?resultsFormat=ROWS_AND_COLUMNS", "[" + strings.Join(all, ",") + "]"
	}
}

// socketRate asks over so many connections to a unix socket for a while.
func socketRate(ctx context.Context, socket string, conns int, d time.Duration, request func() (path, body string)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var answers atomic.Int64
	errs := make([]error, conns)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range conns {
		wg.Go(func() { errs[i] = loadOne(ctx, socket, request, &answers) })
	}
	wg.Wait()
	took := time.Since(began)
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return 0, errs[i]
	}
	return float64(answers.Load()) / took.Seconds(), nil
}

func loadOne(ctx context.Context, socket string, request func() (path, body string), answers *atomic.Int64) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 64<<10)
	var out bytes.Buffer
	for ctx.Err() == nil {
		path, body := request()
		out.Reset()
		fmt.Fprintf(&out, "POST %s HTTP/1.1\r\nHost: d1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
		if _, err := conn.Write(out.Bytes()); err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		if !bytes.Contains(text[:min(len(text), 20)], []byte(`"success":true`)) {
			return fmt.Errorf("the binding answered %.200s", text)
		}
		answers.Add(1)
	}
	return nil
}
