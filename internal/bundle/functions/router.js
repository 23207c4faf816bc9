
// Runs the functions of a Pages project. ROUTES says what each of FILES answers;
// the more exact ones come first.
const BODILESS = [101, 204, 205, 304];

// Handlers are named onRequest for every method and onRequestGet for one.
function handlersOf(file, method) {
  const name = "onRequest" + method[0] + method.slice(1).toLowerCase();
  const found = [];
  // What is for one method comes before what is for all, and replaces it.
  for (const key of [name, "onRequest"]) {
    const value = file[key];
    if (typeof value === "function" || Array.isArray(value)) {
      found.push([value].flat());
    }
  }
  return found;
}

// Compares a path with a route. Whole says that nothing may be left over. The
// result is the parameters, or undefined.
function match(route, parts, whole) {
  const params = {};
  let i = 0;
  for (const { s, p, r } of route) {
    if (r !== undefined) {
      const rest = parts.slice(i);
      if (rest.length > 0) params[r] = rest;
      return params;
    }
    if (i >= parts.length) return undefined;
    if (p !== undefined) params[p] = parts[i];
    else if (s.toLowerCase() !== parts[i].toLowerCase()) return undefined;
    i++;
  }
  return whole && i < parts.length ? undefined : params;
}

function partsOf(pathname) {
  const parts = pathname.split("/").slice(1);
  if (parts.at(-1) === "") parts.pop(); // a slash at the end makes no difference
  return parts;
}

// What answers a request, in the order in which each calls the next.
function chain(request) {
  const parts = partsOf(new URL(request.url).pathname);
  const out = [];
  const add = (i, params, all) => {
    for (const handler of all) out.push({ handler, params, path: ROUTES[i].mount });
  };
  // Middleware from the outside to the inside: the shortest path first. What is
  // for all methods is around what is for one.
  for (let i = ROUTES.length - 1; i >= 0; i--) {
    if (!ROUTES[i].middleware) continue;
    const params = match(ROUTES[i].path, parts, false);
    if (params !== undefined) for (const all of handlersOf(FILES[i], request.method).reverse()) add(i, params, all);
  }
  for (let i = 0; i < ROUTES.length; i++) {
    if (ROUTES[i].middleware) continue;
    const params = match(ROUTES[i].path, parts, true);
    const [first] = params === undefined ? [] : handlersOf(FILES[i], request.method);
    if (first !== undefined) {
      add(i, params, first);
      break;
    }
  }
  return out;
}

// A response whose headers can be changed.
function writable(response) {
  return new Response(BODILESS.includes(response.status) ? null : response.body, response);
}

export default {
  async fetch(original, env, ctx) {
    let request = original;
    let open = false; // passThroughOnException was called
    let data = {};
    const steps = chain(original)[Symbol.iterator]();
    const next = async (input, init) => {
      if (input !== undefined) {
        request = new Request(typeof input === "string" ? new URL(input, request.url) : input, init);
      }
      const { done, value } = steps.next();
      if (done) return writable(await env.ASSETS.fetch(request));
      const context = {
        request: new Request(request.clone()),
        functionPath: value.path,
        next,
        params: value.params,
        get data() {
          return data;
        },
        set data(to) {
          if (typeof to !== "object" || to === null) throw new TypeError("context.data must be an object");
          data = to;
        },
        env,
        waitUntil: ctx.waitUntil.bind(ctx),
        passThroughOnException: () => {
          open = true;
        },
      };
      const response = await value.handler(context);
      if (!(response instanceof Response)) throw new TypeError("A function must return a Response");
      return writable(response);
    };
    try {
      return await next();
    } catch (error) {
      if (!open) throw error;
      console.error(error);
      const { url, method, headers } = request; // its body may be read already
      return writable(await env.ASSETS.fetch(new Request(url, { method, headers })));
    }
  },
};
