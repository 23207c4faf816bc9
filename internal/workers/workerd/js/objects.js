
// Appended to the entry module when the worker has Durable Objects.
import { acceptStubs, objectStep } from "@@TRACE@@";
import { DurableObject as ObjectBase } from "cloudflare:workers";

const OBJECT_HANDLERS = ["fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"];

// Whether a method was called by the runtime, and not by the worker's own code in
// an event that has no ray: then there is another frame than ours.
function calledFromOutside() {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  const { stack } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return typeof stack === "string" && stack.split("\n").length <= 3;
}

// What a tail is told of an event; undefined: nothing.
function objectEvent(name, args) {
  switch (name) {
    case "fetch":
      return { object: true, request: described(args[0]) };
    case "alarm":
      return { object: true, scheduledTime: args[0]?.scheduledTime ?? Date.now() };
  }
  return OBJECT_HANDLERS.includes(name) ? undefined : { object: true, rpcMethod: name };
}

// A method of an object, run with an id of its own. Handlers report what they
// throw; methods called by RPC are left alone in that: what they throw reaches the
// caller, and a tail.
const objectMethod = (className, name, fn) => {
  const handler = OBJECT_HANDLERS.includes(name);
  return ({
    [name](...args) {
      const before = current.getStore();
      if (before !== undefined && !handler) return apply(fn, this, args);
      const ray = before ?? objectStep(name === "fetch" ? apply(get, args[0].headers, ["@@RAY@@"]) ?? undefined : undefined);
      const ctx = this?.ctx;
      const event = tail.open && before === undefined && calledFromOutside() ? objectEvent(name, args) : undefined;
      let followed;
      if (event !== undefined) {
        began(ray, className, event);
        followed = collect(ctx);
      }
      const fail = (error) => {
        if (handler || followed !== undefined) report(ray, error, !handler);
        throw error;
      };
      let result;
      try {
        result = current.run(ray, apply, fn, this, args);
      } catch (error) {
        if (followed !== undefined) finished(ray, undefined, followed, ctx?.waitUntil, ctx);
        fail(error);
      }
      if (result instanceof Promise && (handler || followed !== undefined)) result = apply(then, result, [undefined, fail]);
      if (followed !== undefined) finished(ray, result, followed, ctx?.waitUntil, ctx);
      return result;
    },
  })[name];
};

// The names of a class's methods, those that it inherits included.
function methodNames(Base) {
  const names = new Set();
  for (let proto = Base.prototype; proto && proto !== ObjectBase.prototype && proto !== Object.prototype; proto = Object.getPrototypeOf(proto)) {
    for (const name of Object.getOwnPropertyNames(proto)) {
      if (name !== "constructor" && typeof Object.getOwnPropertyDescriptor(proto, name).value === "function") names.add(name);
    }
  }
  return names;
}

// The same class with its methods run by us. A class that is missing is
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
  // What the constructor does is no call of a method.
  const Class = class extends Base {
    constructor(...args) {
      loopback(args[0].exports, callable);
      acceptStubs(args[0].container);
      current.run(objectStep(), () => super(...args));
    }
  };
  Object.defineProperty(Class, "name", { value: Base.name, configurable: true });
  for (const method of methodNames(Base)) {
    Object.defineProperty(Class.prototype, method, { value: objectMethod(name, method, Base.prototype[method]), configurable: true, writable: true });
  }
  return Class;
}

