// An internal module of the extension: only other modules of an extension can
// import it, and only an internal one may import from node-internal.
import hooks from "node-internal:async_hooks";

// Which request is being handled: its ray, a string.
export const current = new hooks.AsyncLocalStorage();
