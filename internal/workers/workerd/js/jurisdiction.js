
// Appended to the entry module when the worker has bindings to Durable Objects. The
// runtime refuses jurisdictions. There is one place here, so they are taken and
// change nothing, and the worker's log says so once.
import { env as bindings } from "cloudflare:workers";

function acceptJurisdictions(namespace) {
  const proto = Object.getPrototypeOf(namespace);
  const { jurisdiction, newUniqueId } = proto;
  const noted = new Set();
  const note = (name) => {
    if (noted.has(name) || noted.size >= 10) return;
    noted.add(name);
    console.warn(`The jurisdiction "${name}" has no effect: all Durable Objects are on this machine. A name leads to the same object with a jurisdiction and without.`);
  };
  const patched = {
    jurisdiction(name) {
      if (name === undefined || name === null) return apply(jurisdiction, this, [name]);
      apply(jurisdiction, this, [undefined]); // or this is no namespace
      note("" + name);
      return this;
    },
    newUniqueId(options) {
      if (options?.jurisdiction === undefined) return apply(newUniqueId, this, arguments);
      note("" + options.jurisdiction);
      return apply(newUniqueId, this, [{ ...options, jurisdiction: undefined }]);
    },
  };
  for (const name of ["jurisdiction", "newUniqueId"]) {
    Object.defineProperty(proto, name, { value: patched[name], configurable: true, writable: true });
  }
}
