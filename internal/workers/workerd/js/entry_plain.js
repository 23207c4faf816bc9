// For a main module without a default export, which this module then must not
// have either: such a worker registers its handlers with addEventListener or
// offers named entrypoints only.
import { entrypoints, started } from "@@TRACE@@";
import { WorkerEntrypoint } from "cloudflare:workers";
import * as user from "@@MAIN@@";
export * from "@@MAIN@@";

started({
  default: "default" in user,
  handlers: [],
  exports: Object.keys(user).slice(0, 500),
  entrypoints: entrypoints(user, WorkerEntrypoint),
});
