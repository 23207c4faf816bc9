// An internal module of the extension: a wrapped binding that stands in for the
// inner "fetcher" of another wrapped binding. It adds the ray of the current request
// to every call, and counts it.
import { current } from "selvage-internal:als";
import { inside } from "selvage-internal:subrequests";

export default function (env) {
  const { fetcher } = env;
  return {
    fetch(input, init) {
      const error = inside();
      if (error !== undefined) return Promise.reject(error);
      const ray = current.getStore();
      if (ray === undefined) return fetcher.fetch(input, init);
      const request = new Request(input, init);
      request.headers.set("@@HEADER@@", ray);
      return fetcher.fetch(request);
    },
  };
}
