// The main module of a _worker.js that may call passThroughOnException(): a
// request for which it then throws is answered with the site's file. The runtime
// itself would send such a request to where the host leads, which is back here.
import * as user from "@@MAIN@@";
export * from "@@MAIN@@";

const BINDING = "@@BINDING@@";

const opened = (fetch, self) => {
  return async function (request, env, ctx) {
    const here = ctx ?? this.ctx;
    let open = false;
    Object.defineProperty(here, "passThroughOnException", { value: () => { open = true; }, configurable: true, writable: true });
    try {
      return await fetch.call(self ?? this, request, env, ctx);
    } catch (error) {
      if (!open) throw error;
      console.error(error);
      const { url, method, headers } = request;
      const rest = request.bodyUsed || request.body?.locked ? new Request(url, { method, headers }) : request;
      return (env ?? this.env)[BINDING].fetch(rest);
    }
  };
};

const wrap = (value) => {
  if (typeof value === "function" && typeof value.prototype?.fetch === "function") {
    const Entry = class extends value {};
    Object.defineProperty(Entry, "name", { value: value.name, configurable: true });
    Entry.prototype.fetch = opened(value.prototype.fetch);
    return Entry;
  }
  if (typeof value !== "object" || value === null || typeof value.fetch !== "function") return value;
  return Object.create(value, { fetch: { value: opened(value.fetch, value), enumerable: true } });
};

export default wrap(user.default);
