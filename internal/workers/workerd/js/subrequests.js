// An internal module of the extension: bounds how often one request of the worker
// calls fetch. It counts by ray, so what has none (output at start-up, named
// entrypoints) is not counted, and it counts in the worker's own process: it keeps
// programs that are wrong from going on, and is no wall. The walls are the
// platform's bounds on what a script has in flight.
import { current } from "selvage-internal:als";

const LIMIT = Number("@@SUBREQUESTS@@");
const MOST = 10000; // requests remembered; the oldest goes first

const { apply } = Reflect;
const { get, set, keys, delete: remove } = Map.prototype;
const { next } = Object.getPrototypeOf(new Map().keys());
const counts = new Map();
const size = Object.getOwnPropertyDescriptor(Map.prototype, "size").get;

// Counts one more call of the current request and reports whether it may be made.
function take() {
  const ray = current.getStore();
  if (ray === undefined) return true;
  const n = apply(get, counts, [ray]) ?? 0;
  if (n >= LIMIT) return false;
  if (n === 0 && apply(size, counts, []) >= MOST) apply(remove, counts, [apply(next, apply(keys, counts, []), []).value]);
  apply(set, counts, [ray, n + 1]);
  return true;
}

if (LIMIT > 0) {
  const original = globalThis.fetch;
  const { fetch } = {
    fetch(...args) {
      if (!take()) {
        return Promise.reject(new Error("Too many subrequests by single Worker invocation. The limit is " + LIMIT + "; limits.subrequests in the Worker's configuration changes it."));
      }
      return apply(original, globalThis, args);
    },
  };
  Object.defineProperty(fetch, "length", { value: original.length, configurable: true });
  Object.defineProperty(globalThis, "fetch", { value: fetch, configurable: true, enumerable: true, writable: true });
}
