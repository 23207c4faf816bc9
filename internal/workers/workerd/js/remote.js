// The module of a worker of the platform's own, beside the user's: it takes calls
// to objects that this process has open, and stands in for objects that another
// process has open. User code shares no env and no global scope with it.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

const KEY = "selvage-object-key", ID = "selvage-object-id", NAME = "selvage-object-name";

// What a class with no methods of its own is asked for by the runtime.
const OWN = new Set(["then", "constructor", "ctx", "env", "fetch", "connect", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"]);

// Takes calls. Objects are named as they were by the caller: an object that was
// reached by its name finds it in ctx.id.name.
export default class extends WorkerEntrypoint {
  #object(key, id, name) {
    const namespace = this.env[key];
    if (namespace === undefined) throw new Error("The objects were moved to another Worker, or deleted.");
    return namespace.get(name === null ? namespace.idFromString(id) : namespace.idFromName(name));
  }
  call(key, id, name, method, args) {
    return this.#object(key, id, name)[method](...args);
  }
  fetch(request) {
    const { headers } = request;
    const name = headers.get(NAME);
    const object = this.#object(headers.get(KEY), headers.get(ID), name === null ? null : decodeURIComponent(name));
    const inner = new Request(request);
    for (const header of [KEY, ID, NAME]) inner.headers.delete(header);
    return object.fetch(inner);
  }
}

// The class whose objects pass everything on: never a stub, which cannot be
// passed from process to process, but each call.
function remote(key, door) {
  return class extends DurableObject {
    constructor(ctx, env) {
      super(ctx, env);
      const { id } = ctx;
      return new Proxy(this, {
        get(target, property) {
          if (typeof property === "symbol" || OWN.has(property)) {
            const value = Reflect.get(target, property, target);
            return typeof value === "function" && property !== "constructor" ? value.bind(target) : value;
          }
          return (...args) => env[door].call(key, id.toString(), id.name ?? null, property, args);
        },
      });
    }
    fetch(request) {
      const { id } = this.ctx;
      const outer = new Request(request);
      outer.headers.set(KEY, key);
      outer.headers.set(ID, id.toString());
      if (id.name === undefined) outer.headers.delete(NAME);
      else outer.headers.set(NAME, encodeURIComponent(id.name));
      return this.env[door].fetch(outer);
    }
  };
}

