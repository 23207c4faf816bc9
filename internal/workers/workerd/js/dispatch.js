// An internal module of the extension: it runs the events that no connection can
// bring. A request whose ray begins with the platform's key, which no visitor and no
// other worker can send, is not for the worker's fetch handler: its body names
// another handler and the event. The answer says how it ended, once everything that
// was given to ctx.waitUntil has ended, too.
import { current } from "selvage-internal:als";

// What the entry module compares the beginning of a ray with.
export const KEY = "!@@DISPATCH@@";

const { apply } = Reflect;
const { parse, stringify } = JSON;
const { slice } = String.prototype;
const { text } = Request.prototype;
const { get, set, has } = WeakMap.prototype;
const { push } = Array.prototype;
const { then } = Promise.prototype;
const Answer = Response;

// The promises of an invocation, by its ctx: only of those that somebody waits for.
const tasks = new WeakMap();

// Whether a tail is open on this script; see trace.js.
export const tail = { open: false };

// Notes what is given to ctx.waitUntil from here on.
export function collect(ctx) {
  const list = [];
  if (typeof ctx === "object" && ctx !== null) apply(set, tasks, [ctx, list]);
  return list;
}

// Called for each promise that is given to ctx.waitUntil.
export function collected(ctx, promise) {
  if (apply(has, tasks, [ctx])) apply(push, apply(get, tasks, [ctx]), [promise]);
}

// Waits for all of a list, which may grow meanwhile, and calls failed for each
// that is rejected.
export async function settle(list, failed) {
  for (let i = 0; i < list.length; i++) {
    await new Promise((resolve) => apply(then, list[i], [resolve, (error) => { failed(error); resolve(); }]));
  }
}

function describe(error) {
  const cut = (value, max) => apply(slice, "" + value, [0, max]);
  try {
    if (error instanceof Error) return { name: cut(error.name, 200), message: cut(error.message, 8000) };
    return { name: "", message: cut(error, 8000) };
  } catch {
    return { name: "Error", message: "(an object that cannot be printed)" };
  }
}

// The controller that a scheduled handler gets.
class ScheduledController {
  #state;
  constructor(job, state) {
    this.type = "scheduled";
    this.scheduledTime = job.scheduledTime;
    this.cron = job.cron;
    this.#state = state;
  }
  noRetry() {
    this.#state.noRetry = true;
  }
}

// What a tail handler gets: items as the runtime would make them, of which the
// requests know their redacted parts, too.
function traces(items) {
  for (const item of items) {
    const { event } = item;
    if (typeof event?.scheduledTime === "string") event.scheduledTime = new Date(event.scheduledTime);
    const request = event?.request;
    if (!request) continue;
    const { unredacted } = request;
    delete request.unredacted;
    const whole = unredacted ? { ...request, ...unredacted } : request;
    Object.defineProperty(request, "getUnredacted", { value: () => whole });
  }
  return items;
}

// Runs one event. Self has the wrapped handlers, args are what fetch was called with.
export async function dispatch(ray, self, args) {
  const [request, env] = args;
  const ctx = args[2] ?? self.ctx;
  const job = parse(await apply(text, request, []));
  if (job.type === "watch") {
    tail.open = job.open;
    return new Answer(null, { status: 204 });
  }
  if (job.type === "listeners") return new Answer(stringify({ handlers: self.listeners() }));
  const state = { outcome: "ok", noRetry: false };
  const failed = (error) => {
    state.outcome = "exception";
    state.error ??= describe(error);
  };
  const list = collect(ctx);
  try {
    const event = job.type === "tail" ? traces(job.events) : new ScheduledController(job, state);
    await current.run(apply(slice, ray, [KEY.length]), apply, self[job.type], self, [event, env, ctx]);
  } catch (error) {
    failed(error);
  }
  await settle(list, failed);
  return new Answer(stringify(state));
}
