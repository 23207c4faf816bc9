import { KEY, collect, collected, current, dispatch, entrypoints, finished, report, started, tail } from "@@TRACE@@";
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import * as user from "@@MAIN@@";
export * from "@@MAIN@@";

const HANDLERS = ["fetch", "connect", "scheduled", "queue", "email", "tail", "trace", "tailStream", "alarm", "test", "webSocketMessage", "webSocketClose", "webSocketError"];
const handlers = [];

const { apply } = Reflect;
const { then } = Promise.prototype;
const { get } = Headers.prototype;
const { startsWith } = String.prototype;

// A promise given to ctx.waitUntil that is rejected is an exception of the worker,
// too, of which the runtime says nothing. The class of ctx has no global name, so
// it is reached through the first ctx that comes.
let waitUntilOf;
function watch(ctx) {
  const proto = typeof ctx === "object" && ctx !== null ? Object.getPrototypeOf(ctx) : null;
  const original = proto?.waitUntil;
  if (typeof original !== "function") return;
  waitUntilOf = original;
  const { waitUntil } = {
    waitUntil(promise) {
      apply(original, this, [promise]);
      if (promise instanceof Promise) {
        collected(this, promise);
        const ray = current.getStore();
        apply(then, promise, [undefined, (error) => report(ray, error, true)]);
      }
    },
  };
  Object.defineProperty(proto, "waitUntil", { value: waitUntil, configurable: true, writable: true });
}

// A method that runs a handler of the worker with the request's ray at hand, and
// reports what it throws. All in one function: each would be one more frame in
// the stacks that the worker sees. Entry is the wrapper that has the method; of a
// class it is the instance.
const method = (name, fn, self, entry) => ({
  [name](...args) {
    const ctx = args[2] ?? this?.ctx;
    if (waitUntilOf === undefined) watch(ctx);
    let ray, followed;
    if (name === "fetch") {
      ray = apply(get, args[0].headers, ["@@RAY@@"]) ?? undefined;
      if (ray !== undefined) {
        if (ray[0] === "!" && apply(startsWith, ray, [KEY])) return dispatch(ray, entry ?? this, args);
        if (tail.open) followed = collect(ctx);
      }
    } else {
      ray = current.getStore();
    }
    const fail = (error) => {
      report(ray, error, false);
      throw error;
    };
    let result;
    try {
      result = current.run(ray, apply, fn, self ?? this, args);
    } catch (error) {
      if (followed !== undefined) finished(ray, undefined, followed, waitUntilOf, ctx);
      fail(error);
    }
    if (result instanceof Promise) result = apply(then, result, [undefined, fail]);
    if (followed !== undefined) finished(ray, result, followed, waitUntilOf, ctx);
    return result;
  },
})[name];

// A worker without a fetch handler gets one through which the platform's own events
// come in. Anything else that it is asked fails as it does without.
function needsFetch() {
  return !handlers.includes("fetch") && (handlers.includes("scheduled") || handlers.includes("tail"));
}
function noFetch() {
  throw new TypeError("Handler does not export a fetch() function.");
}

// The same class with its handlers run by us. RPC methods, static members and
// the constructor are inherited.
function wrapClass(Base) {
  const Entry = class extends Base {};
  Object.defineProperty(Entry, "name", { value: Base.name, configurable: true });
  for (const name of HANDLERS) {
    const fn = Base.prototype[name];
    if (typeof fn !== "function") continue;
    handlers.push(name);
    Object.defineProperty(Entry.prototype, name, { value: method(name, fn), configurable: true, writable: true });
  }
  if (needsFetch()) Object.defineProperty(Entry.prototype, "fetch", { value: method("fetch", noFetch), configurable: true, writable: true });
  return Entry;
}

// An object with the same properties, of which the handlers are run by us, with
// the worker's own object as `this`.
function wrapObject(object) {
  const entry = Object.create(Object.getPrototypeOf(object));
  for (const key of Reflect.ownKeys(object)) {
    if (HANDLERS.includes(key)) continue;
    const value = object[key];
    Object.defineProperty(entry, key, {
      value: typeof value === "function" && value.prototype === undefined ? value.bind(object) : value,
      configurable: true, enumerable: Object.prototype.propertyIsEnumerable.call(object, key), writable: true,
    });
  }
  for (const name of HANDLERS) {
    const fn = object[name];
    if (fn === undefined) continue;
    if (typeof fn === "function") handlers.push(name);
    Object.defineProperty(entry, name, {
      value: typeof fn === "function" ? method(name, fn, object, entry) : fn,
      configurable: true, enumerable: true, writable: true,
    });
  }
  if (needsFetch()) Object.defineProperty(entry, "fetch", { value: method("fetch", noFetch, object, entry), configurable: true, writable: true });
  return entry;
}

function wrap(value) {
  if (typeof value === "object" && value !== null) return wrapObject(value);
  if (typeof value === "function" && (value.prototype instanceof WorkerEntrypoint || value.prototype instanceof DurableObject)) return wrapClass(value);
  return value;
}

const wrapped = wrap(user.default);
started({
  default: "default" in user,
  handlers,
  exports: Object.keys(user).filter((name) => name !== "default").slice(0, 500),
  entrypoints: entrypoints(user, WorkerEntrypoint),
});
export default wrapped;
