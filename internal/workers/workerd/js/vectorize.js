// An internal module of the extension: the runtime's own binding to a vector
// index, whose insert and upsert also take { namespace }, for the vectors that
// name none themselves.
import makeBinding from "cloudflare-internal:vectorize-api";

function within(vectors, options) {
  if (options === undefined || options === null) return vectors;
  if (typeof options !== "object") throw new TypeError("invalid options: expected an object");
  const unknown = Object.keys(options).filter((name) => name !== "namespace");
  if (unknown.length > 0) throw new TypeError(`invalid options: [${unknown.join(",")}]`);
  const { namespace } = options;
  if (namespace === undefined || namespace === null) return vectors;
  if (typeof namespace !== "string") throw new TypeError(`invalid namespace: ${namespace}`);
  return vectors.map((vector) => ({ ...vector, namespace: vector.namespace ?? namespace }));
}

export default function (env) {
  const index = makeBinding(env);
  for (const name of ["insert", "upsert"]) {
    const stock = index[name].bind(index);
    const value = async (vectors, options) => stock(within(vectors, options));
    Object.defineProperty(index, name, { value, configurable: true, writable: true });
  }
  return index;
}
