// An internal module of the extension: a wrapped binding that stands in for the
// inner "fetcher" of another wrapped binding and adds the ray of the current
// request to every call.
import { current } from "selvage-internal:als";

export default function (env) {
  const { fetcher } = env;
  return {
    fetch(input, init) {
      const ray = current.getStore();
      if (ray === undefined) return fetcher.fetch(input, init);
      const request = new Request(input, init);
      request.headers.set("@@HEADER@@", ray);
      return fetcher.fetch(request);
    },
  };
}
