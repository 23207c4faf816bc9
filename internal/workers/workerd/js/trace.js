// A module of the extension, imported by the entry module before any code of the
// worker runs: so what is taken from the global scope here is the runtime's own.
import { current } from "selvage-internal:als";
import { countKV, countObjects } from "selvage-internal:subrequests";
import { KEY, collect, collected, dispatch, settle, tail } from "selvage-internal:dispatch";
import { CALL, acceptStubs, answer, loopback, newRay, objectStep, remote, thrown } from "selvage-internal:calls";

// The entry module runs handlers in it. (It does that itself: a function of this
// module would show this module's name in every stack.)
export { CALL, KEY, acceptStubs, answer, collect, collected, countKV, countObjects, current, dispatch, loopback, newRay, objectStep, remote, tail, thrown };

const { apply } = Reflect;
const { slice } = String.prototype;
const { stringify } = JSON;
const { getPrototypeOf, prototype: plain } = Object;
const { isArray } = Array;
const emit = console.log, emitError = console.error;

// Lines that only the platform may write begin with this. It is different in
// every process, so a worker that prints such lines is not believed.
const MARK = "\x01!@@NONCE@@\x01";

// The longest line of arguments, in UTF-16 units: beyond it a tail gets the text.
const MAX_ARGUMENTS = 12000;

// An argument of console as the runtime itself gives it to tail workers: what JSON
// can say, or else its text.
function argument(value) {
  switch (typeof value) {
    case "undefined":
      return null;
    case "symbol":
      return {};
    case "bigint":
    case "function":
      return "" + value;
    case "object": {
      if (value === null || isArray(value)) return value;
      const proto = getPrototypeOf(value);
      return proto === plain || proto === null || typeof value.toJSON === "function" ? value : "" + value;
    }
  }
  return value;
}

// While a tail is open, says before a line what it was made of. Nothing in it may
// throw, whatever is printed.
function logged(original, level, args) {
  try {
    const message = [];
    for (let i = 0; i < args.length; i++) {
      try {
        message[i] = stringify(argument(args[i])) ?? "null";
      } catch {
        try {
          message[i] = stringify("" + args[i]);
        } catch {
          message[i] = '"(an object that cannot be printed)"';
        }
      }
    }
    let text = "";
    for (let i = 0; i < message.length; i++) text += (i > 0 ? "," : "") + message[i];
    if (text.length > MAX_ARGUMENTS) return;
    apply(original, console, [MARK + '{"type":"args","level":"' + level + '","args":[' + text + "]}"]);
  } catch {
    // The line itself follows.
  }
}

// Says while a tail is open that an invocation begins of which nobody outside
// knows. It is said on both streams, which are read by two readers: the next line
// may come on either.
export function began(ray, entrypoint, event) {
  const line = MARK + stringify({ type: "began", ray, entrypoint, event });
  apply(emit, console, [line]);
  apply(emitError, console, [line]);
}

// What trace items say of a request.
export function described(request) {
  const headers = {};
  for (const [name, value] of request.headers) headers[name] = value;
  return { url: request.url, method: request.method, headers, cf: request.cf };
}

// Says when a handler and all that it gave to waitUntil have ended; the invocation
// is kept alive until then.
export function finished(ray, result, list, waitUntil, ctx) {
  const done = (async () => {
    let status;
    try {
      status = (await result)?.status;
    } catch {
      // It was reported.
    }
    await settle(list, () => {});
    apply(emit, console, [MARK + stringify({ type: "finished", ray, status: typeof status === "number" ? status : 0 })]);
  })();
  if (waitUntil !== undefined && ctx) apply(waitUntil, ctx, [done]);
}

// Puts the ray before what the worker prints: as part of a leading string, so
// that format specifiers in it still work, or as an argument of its own.
for (const name of ["debug", "error", "info", "log", "warn"]) {
  const original = console[name];
  const { [name]: patched } = {
    [name](...args) {
      const ray = current.getStore();
      if (ray !== undefined) {
        if (tail.open) logged(original, name, args);
        if (typeof args[0] === "string") args[0] = "\x01" + ray + "\x01" + args[0];
        else args = ["\x01" + ray + "\x02", ...args];
      }
      return apply(original, console, args);
    },
  };
  console[name] = patched;
}

const cut = (value, max) => {
  let text;
  try {
    text = "" + value;
  } catch {
    text = "(an object that cannot be printed)";
  }
  return text.length > max ? apply(slice, text, [0, max]) + "…" : text;
};

// Reports an exception that the worker did not catch; in the background means
// that no answer depends on it. Nothing in it may throw, whatever the worker
// threw.
export function report(ray, error, background) {
  let name = "Error", message = "", stack = "", plain = false;
  try {
    if (error instanceof Error) {
      name = cut(error.name, 200);
      message = cut(error.message, 8000);
      stack = typeof error.stack === "string" ? cut(error.stack, 16000) : "";
    } else {
      plain = true;
      message = cut(error, 8000);
    }
  } catch {
    plain = true;
  }
  try {
    apply(emit, console, [MARK + stringify({ type: "exception", ray, name, message, stack, plain, background })]);
  } catch {
    // The exception itself still goes to the runtime, which logs it.
  }
}

// Which exports of the worker's main module other workers can be bound to. A getter
// that throws, as of a variable that is not initialised yet, is none.
export function entrypoints(user, WorkerEntrypoint) {
  return Object.keys(user).filter((name) => {
    if (name === "default") return false;
    try {
      const value = user[name];
      return typeof value === "function" ? value.prototype instanceof WorkerEntrypoint : typeof value === "object" && value !== null;
    } catch {
      return false;
    }
  }).slice(0, 500);
}

// Says once what the worker's main module offers.
export function started(info) {
  apply(emit, console, [MARK + stringify({ type: "started", ...info })]);
}
