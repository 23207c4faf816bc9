// An internal module of the extension: calls from one worker to another, on both
// sides. Every call makes an invocation of its own, with an id that is the ray of
// the request it all began with, and one step for each call that leads to it:
//
//     0123456789abcdef/1/2f.3
//
// A step behind "/" went to another process, one behind "." stayed in this one. So
// the id says how deep a call is, and the platform which lines belong together. It
// counts in the worker's own process: it keeps programs that are wrong from going
// on, and is no wall. The walls are the platform's bounds on what is under way.
import { current } from "selvage-internal:als";
import { inside } from "selvage-internal:subrequests";

// The method of every entrypoint by which the others are called: with one array of
// id, path, and arguments unless a property is read.
export const CALL = "selvage:call";
// A field of an answer that stands for an exception of the fetch handler.
export const THROWN = "@@THROWN@@";

const RAY = "@@RAY@@";
const DEPTH = Number("@@DEPTH@@");
const TOO_DEEP = "Subrequest depth limit exceeded. This request recursed through Workers too many times. This can happen e.g. if you have a Worker or Durable Object that calls other Workers or objects recursively.";

const { apply, get: reflectGet } = Reflect;
const { parse, stringify } = JSON;
const { charCodeAt, lastIndexOf, padStart, substring } = String.prototype;
const { toString: numberToString } = Number.prototype;
const { get: headerGet, set: headerSet } = Headers.prototype;
const { text: responseText } = Response.prototype;
const { hasOwn, getPrototypeOf, defineProperty: define, prototype: plain } = Object;
const reject = Promise.reject.bind(Promise);
const random = crypto.getRandomValues.bind(crypto);
const Outgoing = Request, Answer = Response, Bytes = Uint8Array, Wrapper = Proxy;
const ERRORS = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

let rays = 0, first;

// A ray for what no request began: 16 hexadecimal digits, of which the process draws
// the first eight once, since every call of an object from elsewhere needs one.
export function newRay() {
  if (first === undefined) {
    const bytes = random(new Bytes(4));
    first = "";
    for (let i = 0; i < 4; i++) first += apply(numberToString, 256 + bytes[i], [16])[1] + apply(numberToString, bytes[i] & 15, [16]);
  }
  return first + apply(padStart, apply(numberToString, rays++ >>> 0, [16]), [8, "0"]);
}

function depth(id) {
  let n = 0;
  for (let i = 0; i < id.length; i++) {
    const c = apply(charCodeAt, id, [i]);
    if (c === 47 || c === 46) n++;
  }
  return n;
}

// Whether an invocation was called from another process.
export function remote(id) {
  return apply(lastIndexOf, id, ["/"]) > apply(lastIndexOf, id, ["."]);
}

let calls = 0;

let tag;

// The id of a call of an object, of which the caller knows no step: it must differ
// from all that other processes make of the same id.
export function objectStep(id) {
  tag ??= "o" + apply(substring, newRay(), [0, 4]);
  return (id ?? newRay()) + "." + tag + apply(numberToString, ++calls, [36]);
}

// The id of a call that is made now; throws when it would be one too deep or one
// too many.
function next(separator) {
  const error = inside();
  if (error !== undefined) throw error;
  const id = current.getStore() ?? newRay();
  if (depth(id) >= DEPTH) throw new Error(TOO_DEEP);
  return id + separator + apply(numberToString, ++calls, [36]);
}

// An exception of the callee's fetch handler, thrown again.
function revived(body) {
  const { name, message } = parse(body);
  const error = new (ERRORS[name] ?? Error)(message);
  if (error.name !== name) error.name = name;
  error.remote = true;
  return error;
}

// The answer that stands for an exception until revived.
export function thrown(error) {
  let name = "Error", message = "(an object that cannot be printed)";
  try {
    if (error instanceof Error) ({ name, message } = error);
    else message = "" + error;
    name = "" + name;
    message = "" + message;
  } catch {
    name = "Error";
    message = "(an object that cannot be printed)";
  }
  return new Answer(stringify({ name, message }), { status: 500, headers: { [THROWN]: "1" } });
}

// A stub like another, of which each call is an invocation of its own. The local one
// leads to an entrypoint of this process.
export function stub(fetcher, local) {
  const separator = local ? "." : "/";
  const call = (path, args) => {
    let id;
    try {
      id = next(separator);
    } catch (error) {
      return reject(error);
    }
    return fetcher[CALL](args === undefined ? [id, path] : [id, path, args]);
  };
  const property = (path) => new Wrapper(function () {}, {
    get(target, name) {
      if (name === "then" || name === "catch" || name === "finally") {
        const result = call(path);
        return result[name].bind(result);
      }
      return typeof name === "symbol" ? undefined : property([...path, name]);
    },
    apply: (target, self, args) => call(path, args),
    construct() { throw new TypeError("An RPC stub is not a constructor."); },
  });
  const { fetch } = {
    async fetch(input, init) {
      const request = new Outgoing(input, init);
      apply(headerSet, request.headers, [RAY, next(separator)]);
      const response = await fetcher.fetch(request);
      if (!local && apply(headerGet, response.headers, [THROWN]) !== null) throw revived(await apply(responseText, response, []));
      return response;
    },
  };
  const made = new Wrapper(fetcher, {
    get(target, name) {
      if (name === "fetch") return fetch;
      if (typeof name === "symbol" || name === "then" || name === "connect" || name in plain) {
        const value = reflectGet(target, name, target);
        return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
      }
      return property([name]);
    },
    // One of ctx.exports makes another, with props.
    apply: (target, self, args) => stub(apply(target, undefined, args), local),
  });
  apply(mapSet, natives, [made, fetcher]);
  return made;
}

const natives = new WeakMap();
const { get: mapGet, set: mapSet } = WeakMap.prototype;

const containers = new WeakSet();

// The methods of an object's container by which it has the worker answer what the
// container sends: these are the runtime's own, and take only its own stubs.
export function acceptStubs(container) {
  if (typeof container !== "object" || container === null) return;
  const proto = getPrototypeOf(container);
  if (containers.has(proto)) return;
  containers.add(proto);
  const names = Object.getOwnPropertyNames(proto);
  for (let i = 0; i < names.length; i++) {
    const name = names[i], original = name.startsWith("intercept") ? proto[name] : undefined;
    if (typeof original !== "function") continue;
    const { [name]: method } = {
      [name](...args) {
        for (let j = 0; j < args.length; j++) args[j] = apply(mapGet, natives, [args[j]]) ?? args[j];
        return apply(original, this, args);
      },
    };
    define(proto, name, { value: method, configurable: true, writable: true });
  }
}

let looped;

// Puts such stubs into ctx.exports, which all invocations of a process share.
export function loopback(exports, names) {
  if (typeof exports !== "object" || exports === null || exports === looped) return;
  looped = exports;
  for (let i = 0; i < names.length; i++) {
    const native = exports[names[i]];
    if (typeof native === "function") define(exports, names[i], { value: stub(native, true), configurable: true, enumerable: true, writable: true });
  }
}

// The names that the runtime reserves on an entrypoint, and on what lies behind it.
const RESERVED = { __proto__: null, fetch: 1, connect: 1, alarm: 1, webSocketMessage: 1, webSocketClose: 1, webSocketError: 1, dup: 1, constructor: 1 };
const RESERVED_WITHIN = { __proto__: null, dup: 1, constructor: 1 };

function missing(name) {
  return new TypeError(`The RPC receiver does not implement the method "${name}".`);
}

// Finds what a path names by the runtime's rules: own properties of plain objects
// and functions, and only inherited ones of anything else.
function find(object, path, own, RpcTarget) {
  let self = object;
  for (let i = 0; i < path.length; i++) {
    const name = path[i];
    if ((i === 0 ? RESERVED : RESERVED_WITHIN)[name]) throw new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
    if (hasOwn(self, name) !== own) throw missing(name);
    const value = self[name];
    if (!own && value === plain[name]) throw missing(name);
    if (i === path.length - 1) return [value, self];
    if ((typeof value !== "object" || value === null) && typeof value !== "function") throw missing(name);
    own = getPrototypeOf(value) === plain || typeof value === "function";
    if (!own && !(value instanceof RpcTarget)) throw missing(name);
    self = value;
  }
  throw missing("");
}

// Does what a call asks of an entrypoint: an instance of a class, or else an object,
// whose methods get one argument, env and ctx.
export function answer(self, object, [, path, args], env, ctx, RpcTarget) {
  const [value, receiver] = find(object ?? self, path, object !== undefined, RpcTarget);
  if (args === undefined) return value;
  const name = path.join(".");
  if (typeof value !== "function") throw new TypeError(`"${name}" is not a function.`);
  if (object === undefined) return apply(value, receiver, args);
  if (value.length > 3) throw new TypeError(`Cannot call handler function "${name}" over RPC because it has the wrong number of arguments. A simple function handler can only be called over RPC if it has exactly the arguments (arg, env, ctx), where only the first argument comes from the client. To support multi-argument RPC functions, use class-based syntax (extending WorkerEntrypoint) instead.`);
  if (args.length !== 1) throw new TypeError(`Attempted to call RPC function "${name}" with the wrong number of arguments. When calling a top-level handler function that is not declared as part of a class, you must always send exactly one argument. In order to support variable numbers of arguments, the server must use class-based syntax (extending WorkerEntrypoint) instead.`);
  return apply(value, receiver, [args[0], env, ctx]);
}
