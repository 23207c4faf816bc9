import { current, report, started } from "@@TRACE@@";
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import * as user from "@@MAIN@@";
export * from "@@MAIN@@";

const HANDLERS = ["fetch", "connect", "scheduled", "queue", "email", "tail", "trace", "tailStream", "alarm", "test", "webSocketMessage", "webSocketClose", "webSocketError"];
const handlers = [];

const { apply } = Reflect;
const { then } = Promise.prototype;
const { get } = Headers.prototype;

// A promise given to ctx.waitUntil that is rejected is an exception of the worker,
// too, of which the runtime says nothing. The class of ctx has no global name, so
// it is reached through the first ctx that comes.
let watched = false;
function watch(ctx) {
  const proto = typeof ctx === "object" && ctx !== null ? Object.getPrototypeOf(ctx) : null;
  const original = proto?.waitUntil;
  if (typeof original !== "function") return;
  watched = true;
  const { waitUntil } = {
    waitUntil(promise) {
      apply(original, this, [promise]);
      if (promise instanceof Promise) {
        const ray = current.getStore();
        apply(then, promise, [undefined, (error) => report(ray, error, true)]);
      }
    },
  };
  Object.defineProperty(proto, "waitUntil", { value: waitUntil, configurable: true, writable: true });
}

// A method that runs a handler of the worker with the request's ray at hand, and
// reports what it throws. All in one function: each would be one more frame in
// the stacks that the worker sees.
const method = (name, fn, self) => ({
  [name](...args) {
    const ray = name === "fetch" ? (apply(get, args[0].headers, ["@@RAY@@"]) ?? undefined) : undefined;
    if (!watched) watch(args[2] ?? this?.ctx);
    const fail = (error) => {
      report(ray, error, false);
      throw error;
    };
    let result;
    try {
      result = current.run(ray, apply, fn, self ?? this, args);
    } catch (error) {
      fail(error);
    }
    if (result instanceof Promise) return apply(then, result, [undefined, fail]);
    return result;
  },
})[name];

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
      value: typeof fn === "function" ? method(name, fn, object) : fn,
      configurable: true, enumerable: true, writable: true,
    });
  }
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
});
export default wrapped;
