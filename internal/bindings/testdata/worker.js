import { connect } from "cloudflare:sockets";

const report = async (res) => ({ status: res.status, header: Object.fromEntries(res.headers), body: await res.text() });

const ops = {
  fetch: async ({ url, init }) => report(await fetch(url, init)),

  assets: async ({ url, init }, env) => report(await env.ASSETS.fetch(url, init)),

  // Sends each message once the answer to the one before is there.
  websocket: async ({ url, messages }) => {
    const res = await fetch(url, { headers: { Upgrade: "websocket" } });
    if (!res.webSocket) return report(res);
    const ws = res.webSocket;
    ws.accept();
    const got = [];
    const done = new Promise((resolve, reject) => {
      ws.addEventListener("message", (e) => {
        got.push(e.data);
        if (got.length < messages.length) ws.send(messages[got.length]);
        else ws.close(1000, "done");
      });
      ws.addEventListener("close", () => resolve());
      // workerd reports an error when the server hangs up right after its close
      // frame, also without this platform in between.
      ws.addEventListener("error", (e) => (got.length === messages.length ? resolve() : reject(new Error(e.message))));
    });
    ws.send(messages[0]);
    await done;
    return { status: res.status, header: {}, body: got.join(",") };
  },

  // Writes, ends its half, reads to the end.
  connect: async ({ address, options, send }) => {
    const s = connect(address, options);
    const w = s.writable.getWriter();
    const writing = (async () => {
      await w.write(new TextEncoder().encode(send));
      if (options?.allowHalfOpen) await w.close();
    })();
    writing.catch(() => {});
    await s.opened;
    let body = "";
    const text = new TextDecoder();
    for await (const chunk of s.readable) body += text.decode(chunk, { stream: true });
    await writing;
    return { status: 200, header: {}, body };
  },

  // Makes a new request to its own hostname each time: no field survives.
  loop: async ({ url }) => {
    const res = await fetch(url, { method: "POST", body: JSON.stringify({ url }) });
    return res.status === 200 ? res.json() : report(res);
  },
};

export default {
  async fetch(request, env) {
    const op = new URL(request.url).pathname.slice(1);
    if (op === "pass") return fetch(request); // streams both ways
    if (op === "passto") return fetch(request.headers.get("x-url"), request);
    try {
      return Response.json(await ops[op](await request.json(), env));
    } catch (e) {
      return Response.json({ threw: String(e.message), name: e.name });
    }
  },
};
