
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

// The router is made once, not with every request.
const TABLE = ROUTES.map(({ path, mount, params, middleware }, i) => ({
  file: FILES[i],
  path: new RegExp(path, "i"),
  mount: new RegExp(mount, "i"),
  params,
  middleware,
}));

function paramsOf(route, found) {
  const out = Object.create(null);
  route.params.forEach(({ name, rest }, i) => {
    const text = found[i + 1];
    if (text !== undefined) out[name] = rest ? text.split("/") : text;
  });
  return out;
}

// The beginning of a path that is "text" where slashes in a row count as one.
function beginning(pathname, text) {
  let end = 0;
  for (const c of text) {
    end += c.length;
    if (c === "/") while (pathname[end] === "/") end++;
  }
  return pathname.slice(0, end);
}

// What answers a request, in the order in which each calls the next.
function chain(request) {
  const { pathname } = new URL(request.url);
  // Files are found with slashes in a row as one, so what is in front of them must
  // not be missed with more.
  const plain = pathname.replace(/\/+/g, "/");
  const out = [];
  const add = (params, path, all) => {
    for (const handler of all) out.push({ handler, params, path });
  };
  // Middleware from the outside to the inside: the shortest path first. What is
  // for all methods is around what is for one.
  for (const route of TABLE.toReversed()) {
    if (!route.middleware) continue;
    const found = route.path.exec(pathname) ?? route.path.exec(plain);
    if (found === null) continue;
    const own = route.mount.exec(pathname);
    const path = own !== null ? own[0] : beginning(pathname, route.mount.exec(plain)[0]);
    for (const all of handlersOf(route.file, request.method).reverse()) add(paramsOf(route, found), path, all);
  }
  for (const route of TABLE) {
    if (route.middleware) continue;
    const found = route.path.exec(pathname);
    const [first] = found === null ? [] : handlersOf(route.file, request.method);
    if (first !== undefined) {
      add(paramsOf(route, found), found[0], first);
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
      const { url, method, headers } = request;
      const rest = request.bodyUsed || request.body?.locked ? new Request(url, { method, headers }) : request;
      return writable(await env.ASSETS.fetch(rest));
    }
  },
};
