import { CALL, KEY, answer, began, collect, collected, current, described, dispatch, entrypoints, finished, loopback, report, remote, started, tail, thrown } from "@@TRACE@@";
import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import * as user from "@@MAIN@@";
export * from "@@MAIN@@";

const HANDLERS = ["fetch", "connect", "scheduled", "queue", "email", "tail", "trace", "tailStream", "alarm", "test", "webSocketMessage", "webSocketClose", "webSocketError"];

const { apply } = Reflect;
const { then } = Promise.prototype;
const { get } = Headers.prototype;
const { startsWith } = String.prototype;

// The exports that answer calls.
const callable = [];

// A promise given to ctx.waitUntil that is rejected is an exception of the worker,
// too, of which the runtime says nothing. The class of ctx has no global name, so
// it is reached through the first ctx that comes.
let waitUntilOf;
function watch(ctx) {
  const proto = typeof ctx === "object" && ctx !== null ? Object.getPrototypeOf(ctx) : null;
  const original = proto?.waitUntil;
  if (typeof original !== "function") return;
  waitUntilOf = original;
  loopback(ctx.exports, callable);
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
// class it is the instance. Exported is the name of the export, undefined for the
// default one.
const method = (name, fn, exported, self, entry) => ({
  [name](...args) {
    const ctx = args[2] ?? this?.ctx;
    if (waitUntilOf === undefined) watch(ctx);
    let ray, followed, far = false;
    if (name === "fetch") {
      ray = apply(get, args[0].headers, ["@@RAY@@"]) ?? undefined;
      if (ray !== undefined) {
        if (ray[0] === "!" && apply(startsWith, ray, [KEY])) return dispatch(ray, entry ?? this, args);
        far = remote(ray);
        if (tail.open) {
          followed = collect(ctx);
          if (!far && ray.length > 16 && ray[16] !== "-") began(ray, exported, { request: described(args[0]) });
        }
      }
    } else {
      ray = current.getStore();
    }
    // Between processes an answer stands for the exception: the runtime would
    // make one of its own, that says nothing.
    const fail = (error) => {
      report(ray, error, far);
      if (far) return thrown(error);
      throw error;
    };
    let result;
    try {
      result = current.run(ray, apply, fn, self ?? this, args);
    } catch (error) {
      if (followed !== undefined) finished(ray, undefined, followed, waitUntilOf, ctx);
      return fail(error);
    }
    if (result instanceof Promise) result = apply(then, result, [undefined, fail]);
    if (followed !== undefined) finished(ray, result, followed, waitUntilOf, ctx);
    return result;
  },
})[name];

// Answers a call of another worker, or of this one to itself: see calls.js.
const calledBy = (name, self, object, call, env, ctx) => {
  if (waitUntilOf === undefined) watch(ctx);
  const ray = call[0];
  let followed;
  if (tail.open) {
    began(ray, name, { rpcMethod: call[1].join(".") });
    followed = collect(ctx);
  }
  const fail = (error) => {
    report(ray, error, true);
    throw error;
  };
  let result;
  try {
    result = current.run(ray, answer, self, object, call, env, ctx, RpcTarget);
  } catch (error) {
    if (followed !== undefined) finished(ray, undefined, followed, waitUntilOf, ctx);
    fail(error);
  }
  if (result instanceof Promise) result = apply(then, result, [undefined, fail]);
  if (followed !== undefined) finished(ray, result, followed, waitUntilOf, ctx);
  return result;
};

// A worker without a fetch handler gets one through which the platform's own events
// come in. Anything else that it is asked fails as it does without.
function needsFetch(handlers) {
  return !handlers.includes("fetch") && (handlers.includes("scheduled") || handlers.includes("tail"));
}
function noFetch() {
  throw new TypeError("Handler does not export a fetch() function.");
}

// The same class with the method that answers calls. An instance may be a Proxy of
// the worker's own making that knows nothing of it: then it gets one of ours around.
function answering(Base, exported) {
  callable.push(exported ?? "default");
  const { [CALL]: called } = { [CALL](call) { return calledBy(exported, this, undefined, call, this.env, this.ctx); } };
  const Entry = class extends Base {
    constructor(...args) {
      super(...args);
      if (this[CALL] === called) return;
      return new Proxy(this, {
        get: (inner, name) => (name === CALL ? (call) => apply(called, inner, [call]) : Reflect.get(inner, name, inner)),
      });
    }
  };
  Object.defineProperty(Entry.prototype, CALL, { value: called });
  return Entry;
}

// The same class with its handlers run by us. RPC methods, static members and
// the constructor are inherited. The names of its handlers are added to a list.
function wrapClass(Base, exported, handlers) {
  const Entry = Base.prototype instanceof WorkerEntrypoint ? answering(Base, exported) : class extends Base {};
  Object.defineProperty(Entry, "name", { value: Base.name, configurable: true });
  for (const name of HANDLERS) {
    const fn = Base.prototype[name];
    if (typeof fn !== "function") continue;
    handlers.push(name);
    Object.defineProperty(Entry.prototype, name, { value: method(name, fn, exported), configurable: true, writable: true });
  }
  if (needsFetch(handlers)) Object.defineProperty(Entry.prototype, "fetch", { value: method("fetch", noFetch, exported), configurable: true, writable: true });
  return Entry;
}

// An object with the same properties, of which the handlers are run by us, with
// the worker's own object as `this`.
function wrapObject(object, exported, handlers) {
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
      value: typeof fn === "function" ? method(name, fn, exported, object, entry) : fn,
      configurable: true, enumerable: true, writable: true,
    });
  }
  if (needsFetch(handlers)) Object.defineProperty(entry, "fetch", { value: method("fetch", noFetch, exported, object, entry), configurable: true, writable: true });
  callable.push(exported ?? "default");
  Object.defineProperty(entry, CALL, { value: (call, env, ctx) => calledBy(exported, undefined, object, call, env, ctx) });
  return entry;
}

function wrap(value, name, handlers) {
  if (typeof value === "object" && value !== null) return wrapObject(value, name, handlers);
  if (typeof value === "function" && (value.prototype instanceof WorkerEntrypoint || name === undefined && value.prototype instanceof DurableObject)) return wrapClass(value, name, handlers);
  return value;
}

// What other workers can be bound to beside the default export. The names are
// guessed from the source: one that is not exported stays undefined.
function named(name) {
  let value;
  try {
    value = user[name];
  } catch {
    return undefined; // a variable that is not initialised yet
  }
  return wrap(value, name, []);
}
