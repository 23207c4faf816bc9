// An internal module of the extension, which runs before a script in service-worker
// syntax: it does for listeners what the entry module does for the handlers of a
// module. It comes in as a binding, since such a script imports nothing, and leaves
// no global behind.
import { KEY, began, collect, collected, current, described, dispatch, finished, remote, report, tail, thrown } from "@@TRACE@@";
import { countKV } from "selvage-internal:subrequests";

const BINDING = "@@BINDING@@";
// The events of a script, by the handlers that they are to the platform.
const HANDLERS = { __proto__: null, fetch: "fetch", scheduled: "scheduled", tail: "tail", trace: "tail" };

const { apply } = Reflect;
const { then } = Promise.prototype;
const { get } = Headers.prototype;
const { startsWith } = String.prototype;
const { get: known, set: note } = WeakMap.prototype;
const { create, defineProperty: define, getOwnPropertyDescriptor: descriptor, setPrototypeOf } = Object;
const { addEventListener, removeEventListener, dispatchEvent } = globalThis;
const { waitUntil: outlive } = ExtendableEvent.prototype;
const { respondWith } = FetchEvent.prototype;
const { stopImmediatePropagation } = Event.prototype;
const Occurrence = Event;

// Which events the script listens to.
const heeded = { __proto__: null };

// A promise given to waitUntil that is rejected is an exception of the worker, too,
// of which the runtime says nothing.
function watched(event, promise) {
  if (!(promise instanceof Promise)) return;
  collected(event, promise);
  const ray = current.getStore();
  apply(then, promise, [undefined, (error) => report(ray, error, true)]);
}

// What is known of a fetch event while its listeners run.
const runs = new WeakMap();

// A function that looks like another.
function like(original, value) {
  for (const key of ["name", "length"]) define(value, key, { value: original[key], configurable: true });
  return value;
}

function patch(target, name, value) {
  const original = descriptor(target, name);
  define(target, name, { ...original, value: like(original.value, value) });
}

patch(ExtendableEvent.prototype, "waitUntil", function (promise) {
  apply(outlive, this, [promise]);
  watched(this, promise);
});

patch(FetchEvent.prototype, "respondWith", function (answer) {
  const run = apply(known, runs, [this]);
  if (run === undefined) return apply(respondWith, this, [answer]);
  run.result = answer instanceof Promise ? apply(then, answer, [undefined, run.fail]) : answer;
  return apply(respondWith, this, [run.result]);
});

// Runs one listener of a fetch event with the request's ray at hand, and reports
// what it throws.
function heard(self, fn, event, run) {
  const { ray } = run;
  try {
    return current.run(ray, apply, fn, self, [event]);
  } catch (error) {
    if (!run.far) return run.fail(error);
    // Between processes an answer stands for the exception.
    apply(stopImmediatePropagation, event, []);
    apply(respondWith, event, [run.fail(error)]);
  }
}

// The run that a fetch event is; undefined for one that the script made.
function runOf(event) {
  let run = apply(known, runs, [event]);
  if (run !== undefined) return run;
  let ray;
  try {
    ray = apply(get, event.request.headers, ["@@RAY@@"]) ?? undefined;
  } catch {
    return undefined;
  }
  const far = ray !== undefined && remote(ray);
  run = { ray, far, result: undefined, followed: undefined };
  run.fail = (error) => {
    report(ray, error, far);
    if (far) return thrown(error);
    throw error;
  };
  apply(note, runs, [event, run]);
  if (ray !== undefined && tail.open) {
    run.followed = collect(event);
    if (!far && ray.length > 16 && ray[16] !== "-") began(ray, undefined, { request: described(event.request) });
  }
  return run;
}

// The listener that stands in for one of the script's, always the same one.
const standIns = new WeakMap();
function standIn(type, listener) {
  if (type !== "fetch" || (typeof listener !== "function" && (typeof listener !== "object" || listener === null))) return listener;
  let own = apply(known, standIns, [listener]);
  if (own !== undefined) return own;
  own = function (event) {
    const fn = typeof listener === "function" ? listener : listener.handleEvent;
    const self = typeof listener === "function" ? this : listener;
    const run = runOf(event);
    if (run === undefined) return apply(fn, self, [event]);
    const { followed } = run;
    run.followed = undefined; // the first listener's end is told, which waits for the answer
    if (followed === undefined) return heard(self, fn, event, run);
    try {
      return heard(self, fn, event, run);
    } finally {
      finished(run.ray, run.result, followed, outlive, event);
    }
  };
  apply(note, standIns, [listener, own]);
  return own;
}

function replace(name, value) {
  const { enumerable = true } = descriptor(globalThis, name) ?? {};
  define(globalThis, name, { value: like(globalThis[name], value), configurable: true, enumerable, writable: true });
}

replace("addEventListener", function (type, listener, ...options) {
  const result = apply(addEventListener, globalThis, [type, standIn(type, listener), ...options]);
  if (type in HANDLERS) heeded[type] = true;
  return result;
});
replace("removeEventListener", function (type, listener, ...options) {
  return apply(removeEventListener, globalThis, [type, standIn(type, listener), ...options]);
});

// Has the script's listeners hear of an event that no connection can bring.
function occur(type, Class, fields, event) {
  const made = new Occurrence(type);
  const proto = create(Class.prototype);
  for (const name in fields) define(proto, name, { value: fields[name], configurable: true, enumerable: true, writable: true });
  define(proto, "waitUntil", {
    value: function waitUntil(promise) { apply(outlive, event, [promise]); watched(event, promise); },
    configurable: true, writable: true,
  });
  setPrototypeOf(made, proto);
  try {
    apply(dispatchEvent, globalThis, [made]);
  } catch (error) {
    report(current.getStore(), error, true);
    throw error;
  }
}

const events = {
  // What the script can be asked for, once it has run.
  listeners() {
    return [...new Set(Object.keys(heeded).map((type) => HANDLERS[type]))];
  },
  scheduled(controller, env, event) {
    const { cron, scheduledTime } = controller;
    occur("scheduled", ScheduledEvent, { cron, scheduledTime, noRetry: () => controller.noRetry() }, event);
  },
  tail(items, env, event) {
    if (heeded.tail) occur("tail", TailEvent, { events: items, traces: items }, event);
    if (heeded.trace) occur("trace", TailEvent, { events: items, traces: items }, event);
  },
};

// The first listener: takes the platform's own events, and says that a script which
// listens to others only has no answer for a visitor.
apply(addEventListener, globalThis, ["fetch", (event) => {
  const ray = apply(get, event.request.headers, ["@@RAY@@"]);
  if (ray !== null && ray[0] === "!" && apply(startsWith, ray, [KEY])) {
    apply(stopImmediatePropagation, event, []);
    apply(respondWith, event, [dispatch(ray, events, [event.request, undefined, event])]);
  } else if (!heeded.fetch) {
    const { fail } = runOf(event);
    apply(respondWith, event, [(async () => fail(new TypeError("Handler does not export a fetch() function.")))()]);
  }
}]);

// The runtime puts the value of a binding into the global scope. This one's removes
// itself. Those of the worker are there by now; kv is the name of one of them.
export default function ({ kv }) {
  if (kv !== undefined) countKV(globalThis[kv]);
  define(globalThis, BINDING, { configurable: true, enumerable: false, get: () => undefined, set() { delete globalThis[BINDING]; } });
  return {};
}
