// What generate.cjs and generate-pages.cjs share: the files, rules and requests of their cases, how to ask, and how to
// write down what was answered. A test in a case is [method, path, request headers]; its result is [status, location,
// body, header fields of interest].
const fs = require("node:fs");
const path = require("node:path");

const tree = ["/index.html", "/404.html", "/file.html", "/file.bin", "/folder/index.html", "/both.html", "/both/index.html",
  "/deep/404.html", "/deep/a.html", "/bin", "/bin.html", "/index", "/sub/index", "/app.js", "/sp ace.txt", "/ünï.html", "/@scope.js",
  "/per%cent.txt", "/a&b.html", "/dir.html/index.html", "/x/index.html.html", "/.well-known/t.txt", "/only/only.html", "/q(1)'~!.js"];
const paths = ["/", "/index", "/index/", "/index.html", "/index.html/", "/file", "/file/", "/file.html", "/file.html/", "/file/index", "/file/index.html",
  "/file.bin", "/file.bin/", "/folder", "/folder/", "/folder.html", "/folder/index", "/folder/index/", "/folder/index.html",
  "/both", "/both/", "/both.html", "/both/index", "/both/index.html", "/bin", "/bin/", "/bin.html", "/sub", "/sub/", "/sub/index", "/sub/index.html",
  "/nope", "/nope/", "/deep/nope", "/deep/x/y/z", "/deep/", "/404", "/404.html", "/deep/404", "/app.js", "/app.js?a=b", "/file.html?a=b&c", "/file?x",
  "/sp%20ace.txt", "/%66ile", "/%66ile.html?q=1", "/ünï", "/%C3%BCn%C3%AF", "/%c3%bcn%c3%af.html", "/@scope.js", "/%40scope.js",
  "/per%25cent.txt", "/per%cent.txt", "/per%2525cent.txt", "/a&b", "/a%26b", "/a%26b.html", "//file", "//file.html", "/folder//", "//folder//index.html", "///", "//evil.com",
  "//evil.com/", "//evil.com/%2e%2e", "/%2Fevil.com", "/%2F%2Fevil.com/..", "/%5Cevil.com", "/\\evil.com", "/\\\\evil.com/a/..", "/folder%2Findex.html", "/folder%2f", "/folder%5C",
  "/folder/../file", "/folder/%2e%2E/file", "/./file", "/file/.", "/file/..", "/folder/./", "/../../file", "/.%2e/file", "/%00", "/%ff", "/%ff/file", "/%zz",
  "/dir", "/dir/", "/dir.html", "/dir.html/", "/x/", "/x", "/x/index.html", "/x/index.html.html", "/.well-known/t.txt", "/only", "/only/", "/q(1)'~!.js", "/q(1)%27~!.js", "/a;b,c=d:e", "/caf%E9", "/^a|b"];
const redirects = `# comment
/static /to
/s301 /to 301
/s303 /to?own=1#frag 303
/s307 https://other.example/x 307
/s308 https://other.example/x?own=1#f 308
/bad /to 404
one
/four a b c
/rel to
rel2 /to
/self http://plain.example/
/proxy /file 200
/proxyhtml /file.html 200
/proxynone /none 200
/proxyabs https://other.example/ 200
/dupl /first
/dupl /second
/enc%20oded /to%20there
/uml /ü
/dots /a/../b/./c
/slashes /a//b
/net //other.example/p
/net3 ///other.example/p
/q /to?
/file.bin /moved # trailing comment
/blog/* /news/:splat 301
/users/:id /profile/:id?u=:id
/two/:a/:b /:b/:a
/mix/:a/* /m/:splat/:a
/ext/* https://ext.example/:splat
/host/:sub https://:sub.example.com/
/px/:name /:name.html 200
/unbound/:a /x/:b
/loop/* /index.html
/late /late-target
/v/:id/:id2 /w/:id2/:id
/star/*/x /star2/:splat
/open/* /:splat
`;
const rtests = ["/static", "/static?q=1", "/static/", "/s301", "/s303?q=1", "/s307", "/s307?q=1", "/s308?q=1", "/bad", "/one", "/rel", "/rel2", "/self", "/proxy", "/proxy?q", "/proxyhtml", "/proxynone", "/proxyabs",
  "/dupl", "/enc%20oded", "/uml", "/dots", "/slashes", "/net", "/net3", "/q?x=1", "/file.bin", "/blog/", "/blog", "/blog/a/b?c=d", "/blog//x.example/y", "/blog/%2f%2fx", "/users/7", "/users/7?z=1", "/users/", "/users/7/8",
  "/two/1/2", "/two/1/", "/mix/a/b/c", "/ext/a/b", "/ext//evil.com", "/host/abc", "/host/a.b", "/host/a%2fb", "/host/a@b", "/px/file", "/px/nope", "/px/both", "/unbound/1", "/loop/x", "/late", "/v/1/2", "/star/a/b/x", "/star//x",
  "/open//evil.com", "/open/evil.com", "/open///evil.com/..", "/open/\\evil.com", "/open/%2f/evil.com", "/open/a?b=c"];
const headers = `# comment
X-Early: no path yet
/*
  X-All: all
  X-Multi: one
  X-Multi: two
/file
  X-All: more
  Cache-Control: no-store
  ! ETag
/blog/:slug
  X-Slug: <:slug>
/app.js
  ! Content-Type
  ! X-All
  Set-Cookie: a=1
  X Bad: space
  NoValue:
/folder/*
  X-Splat: :splat/:unbound
https://app.example/file.bin
  X-Host: same
https://*.example/bin
  X-Sub: :splat
https://:name.example/both
  X-Name: :name
https://app.example:8080/index
  X-Port: 1
/nothing
/two/*/stars/*
  X-Two: 1
/sp%20ace.txt
  X-Space: yes
/late
  X-Late: 1
/late
  X-Later: 2
/r
  X-Redirected: 1
`;
const htests = ["/", "/file", "/file.html", "/blog/x", "/blog/", "/app.js", "/folder/", "/folder/index.html", "/file.bin", "/bin", "/both", "/index", "/two/a/stars/b", "/sp%20ace.txt", "/late", "/nope", "/r", "/%66ile"].map((p) => ["GET", p, {}]);

// ask sends a request and keeps, of the answer's header, what the tests look at, with the fields named besides.
function ask(port, [method, p, headers], fields = []) {
  return new Promise((resolve, reject) => {
    const raw = Buffer.from(p, "utf8").toString("latin1");
    const socket = require("node:net").connect(port, "127.0.0.1");
    const chunks = [];
    socket.on("data", (c) => chunks.push(c));
    socket.on("error", reject);
    socket.on("close", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const [head, ...rest] = text.split("\r\n\r\n");
      const [status, ...lines] = head.split("\r\n");
      const got = {};
      let location = "";
      for (const line of lines) {
        const i = line.indexOf(":");
        const name = line.slice(0, i).toLowerCase(), value = line.slice(i + 1).trim();
        if (name === "location") location = value;
        else if (name === "etag") got.etag = "tag";
        else if (name === "content-type" || name === "cache-control" || name === "set-cookie" || fields.includes(name) || (name.startsWith("x-") && !name.startsWith("x-mf-"))) got[name] = got[name] ? got[name] + ", " + value : value;
      }
      let body = rest.join("\r\n\r\n");
      if (/transfer-encoding: chunked/i.test(head)) body = body.split("\r\n").filter((_, i) => i % 2).join("");
      const code = Number(status.split(" ")[1]);
      resolve(code === 500 ? [code, "", "", {}] : [code, location, body, got]); // 500: a stack trace of Miniflare's own
    });
    let req = `${method} ${raw} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\nAccept-Encoding: identity\r\n`;
    for (const [k, v] of Object.entries(headers)) req += `${k}: ${v}\r\n`;
    if (method === "POST" || method === "PUT") req += "Content-Length: 0\r\n";
    socket.write(Buffer.from(req + "\r\n", "latin1"));
  });
}
// plant writes the files of a case: each one's content is its path, so the bodies tell which asset was served.
function plant(dir, files) {
  for (const f of files) {
    fs.mkdirSync(path.dirname(dir + f), { recursive: true });
    fs.writeFileSync(dir + f, f);
  }
}
function write(name, cases) {
  const lines = cases.map((c) => {
    const { results, ...rest } = c;
    return JSON.stringify(rest).slice(0, -1) + ',"results":[\n' + results.map((r) => JSON.stringify([...r.request, ...r.want])).join(",\n") + "]}";
  });
  fs.writeFileSync(path.join(__dirname, name), "[" + lines.join(",\n") + "]\n");
}
module.exports = { tree, paths, redirects, rtests, headers, htests, ask, plant, write };
