
// Appended to the entry module when the worker has Durable Objects.
import { current as objectRay, report as objectReport } from "@@TRACE@@";
import { DurableObject as ObjectBase } from "cloudflare:workers";

const OBJECT_HANDLERS = ["fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"];

// A method that reports what a handler of an object throws. Methods called by
// RPC are left alone: what they throw reaches the caller.
const objectMethod = (name, fn) => ({
  [name](...args) {
    const ray = objectRay.getStore();
    const fail = (error) => {
      objectReport(ray, error, false);
      throw error;
    };
    let result;
    try {
      result = Reflect.apply(fn, this, args);
    } catch (error) {
      fail(error);
    }
    if (result instanceof Promise) return Reflect.apply(Promise.prototype.then, result, [undefined, fail]);
    return result;
  },
})[name];

// The same class with its handlers run by us. A class that is missing is
// replaced by one of which no object can be made: the platform refuses to deploy
// such a version, but older ones may come to it.
function objectClass(Base, name) {
  if (typeof Base !== "function") {
    return class extends ObjectBase {
      constructor(ctx, env) {
        super(ctx, env);
        throw new Error(`The main module of this version does not export the Durable Object class ${name}.`);
      }
    };
  }
  const Class = class extends Base {};
  Object.defineProperty(Class, "name", { value: Base.name, configurable: true });
  for (const handler of OBJECT_HANDLERS) {
    const fn = Base.prototype?.[handler];
    if (typeof fn === "function") Object.defineProperty(Class.prototype, handler, { value: objectMethod(handler, fn), configurable: true, writable: true });
  }
  return Class;
}

