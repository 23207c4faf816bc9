import http from "node:http";
import https from "node:https";

// Names below localhost are this machine (RFC 6761, section 6.3); not every resolver knows.
const lookup = (name, options, done) => done(null, options.all ? [{ address: "127.0.0.1", family: 4 }] : "127.0.0.1", 4);

// ask makes one request and resolves to its status, headers and text.
export function ask(url, { method = "GET", headers = {}, body } = {}) {
  const to = new URL(url);
  const options = { method, headers, ...(to.hostname.endsWith(".localhost") && { lookup }) };
  return new Promise((resolve, reject) => {
    const request = (to.protocol === "https:" ? https : http).request(to, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text, json: () => JSON.parse(text) }));
      response.on("error", reject);
    });
    request.setTimeout(10_000, () => request.destroy(new Error(`${url} did not answer within 10 s`)));
    request.on("error", reject);
    request.end(body);
  });
}

// until tries an assertion again until it holds, for at most 10 s: what was written to an index
// is found a moment later.
export async function until(holds) {
  for (const end = Date.now() + 10_000; ; await new Promise((next) => setTimeout(next, 50))) {
    try {
      return await holds();
    } catch (e) {
      if (Date.now() > end) throw e;
    }
  }
}
