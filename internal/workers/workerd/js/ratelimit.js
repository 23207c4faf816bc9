// An internal module of the extension: a wrapped binding of type ratelimit. What
// it may count is decided on the other side of the fetcher, by the binding's name.
const OPTIONS = ["key", "limit", "period", "delta"];
const PERIODS = [10, 60];
const MAX_DELTA = 4294967295;

function delta(value) {
  const n = +value;
  if (!Number.isFinite(n)) throw new TypeError("The value cannot be converted because it is not an integer.");
  if (n < 0) throw new TypeError("The value cannot be converted because it is negative and this API expects a positive number.");
  if (n > MAX_DELTA) throw new TypeError(`Value out of range. Must be less than or equal to ${MAX_DELTA}.`);
  const whole = Math.trunc(n);
  if (whole === 0) throw new RangeError("delta must be non-zero");
  return whole;
}

class RateLimit {
  #fetcher;
  #config;

  constructor({ fetcher, config }) {
    this.#fetcher = fetcher;
    this.#config = config;
  }

  async limit(options) {
    if (typeof options !== "object" || options === null) throw new TypeError("invalid rate limit options");
    const unknown = Object.keys(options).filter((name) => !OPTIONS.includes(name));
    if (unknown.length > 0) throw new TypeError(`bad rate limit options: [${unknown.join(",")}]`);
    const { key, limit = this.#config.limit, period = this.#config.period } = options;
    if (typeof key !== "string") throw new TypeError(`invalid key: ${key}`);
    if (typeof limit !== "number" || !Number.isSafeInteger(limit)) throw new TypeError(`limit must be a number: ${limit}`);
    if (typeof period !== "number") throw new TypeError(`period must be a number: ${period}`);
    if (!PERIODS.includes(period)) throw new TypeError(`unsupported period: ${period}`);
    const body = JSON.stringify({ binding: this.#config.binding, key, limit, period, delta: delta(options.delta ?? 1) });
    const response = await this.#fetcher.fetch("http://ratelimit/limit", { method: "POST", body });
    if (!response.ok) throw new Error(`RateLimit: ${await response.text()}`);
    return await response.json();
  }
}

export default (env) => new RateLimit(env);
