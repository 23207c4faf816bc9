// An internal module of the extension: bounds how often one invocation of the worker
// calls others. As on the original there are two counts with one limit: of fetch and
// the Cache API, and of what a binding leads to. It counts by the invocation's id, so
// what has none is not counted, and it counts in the worker's own process: it keeps
// programs that are wrong from going on, and is no wall. The walls are the platform's
// bounds on what a script has in flight.
import { current } from "selvage-internal:als";

const LIMIT = Number("@@SUBREQUESTS@@");
const MOST = 10000; // invocations remembered; the oldest goes first
const OUTSIDE = "Too many subrequests by single Worker invocation.";
const INSIDE = "Too many API requests by single Worker invocation.";

const { apply, get: reflectGet } = Reflect;
const { get, set, keys, delete: remove } = Map.prototype;
const { get: twinOf, set: setTwin } = WeakMap.prototype;
const { next } = Object.getPrototypeOf(new Map().keys());
const { defineProperty: define, getOwnPropertyDescriptor: descriptor, getOwnPropertyNames: names, getPrototypeOf, setPrototypeOf } = Object;
const reject = Promise.reject.bind(Promise);
const Wrapper = Proxy;
const counts = new Map();
const size = descriptor(Map.prototype, "size").get;

// The counts of the current invocation: [outside, inside]; undefined outside of one.
function own() {
  const id = current.getStore();
  if (id === undefined) return undefined;
  let n = apply(get, counts, [id]);
  if (n === undefined) {
    if (apply(size, counts, []) >= MOST) apply(remove, counts, [apply(next, apply(keys, counts, []), []).value]);
    apply(set, counts, [id, n = [0, 0]]);
  }
  return n;
}

// Counts one more call and returns undefined, or the error when it is one too many.
function count(which, text) {
  if (LIMIT <= 0) return undefined;
  const n = own();
  if (n === undefined || n[which]++ < LIMIT) return undefined;
  n[which] = LIMIT;
  return new Error(text + " The limit is " + LIMIT + "; limits.subrequests in the Worker's configuration changes it.");
}

// Counts one more call of a binding.
export function inside() {
  return count(1, INSIDE);
}

// Replaces an asynchronous method by one that counts.
function patch(target, name, which, text) {
  const { [name]: original } = target;
  const { [name]: counted } = {
    [name](...args) {
      const error = count(which, text);
      return error === undefined ? apply(original, target === globalThis ? target : this, args) : reject(error);
    },
  };
  define(counted, "length", { value: original.length, configurable: true });
  define(target, name, { configurable: true, enumerable: true, writable: true, ...descriptor(target, name), value: counted });
}

if (LIMIT > 0) {
  patch(globalThis, "fetch", 0, OUTSIDE);
  for (const name of ["match", "put", "delete"]) patch(Cache.prototype, name, 0, OUTSIDE);
}

// Counts what is asked of KV namespaces, all of which share a prototype.
export function countKV(namespace) {
  const proto = getPrototypeOf(namespace);
  for (const name of names(proto)) {
    if (name !== "constructor" && LIMIT > 0) patch(proto, name, 1, INSIDE);
  }
}

// The property that a call of an object begins with finds its way to the runtime's
// own stub, the twin of the one that the worker has.
const twins = new WeakMap();
let counting;

// What stands for a property that is not asked for, and all behind it.
function refused(error) {
  return new Wrapper(() => {}, {
    get(target, name) {
      if (name !== "then" && name !== "catch" && name !== "finally") return typeof name === "symbol" ? undefined : refused(error);
      const result = reject(error);
      return result[name].bind(result);
    },
    apply: () => reject(error),
  });
}

function countingPrototype(proto) {
  return new Wrapper(proto, {
    get(target, name, stub) {
      const twin = apply(twinOf, twins, [stub]);
      if (twin === undefined) return reflectGet(target, name, stub);
      if (typeof name === "symbol" || name === "then" || name === "constructor" || name in Object.prototype) return reflectGet(twin, name, twin);
      if (name in target) {
        return { [name](...args) {
          const error = inside();
          return error === undefined ? apply(reflectGet(twin, name, twin), twin, args) : reject(error);
        } }[name];
      }
      const error = inside(); // a property is asked for as a method is called
      return error === undefined ? reflectGet(twin, name, twin) : refused(error);
    },
    getPrototypeOf: () => proto,
  });
}

// Counts calls of Durable Objects. A stub stays one of the runtime's: it can be
// passed on and is an instance of its class. So its prototype is replaced, not itself.
export function countObjects(namespace) {
  const proto = getPrototypeOf(namespace);
  const { get: plainGet } = proto;
  for (const name of ["get", "getByName"]) {
    const original = proto[name];
    if (LIMIT <= 0 || typeof original !== "function") continue;
    const { [name]: counted } = {
      [name](...args) {
        const stub = apply(original, this, args), twin = apply(plainGet, this, [stub.id]);
        counting ??= countingPrototype(getPrototypeOf(stub));
        apply(setTwin, twins, [stub, twin]);
        return setPrototypeOf(stub, counting);
      },
    };
    define(counted, "length", { value: original.length, configurable: true });
    define(proto, name, { ...descriptor(proto, name), value: counted });
  }
}
