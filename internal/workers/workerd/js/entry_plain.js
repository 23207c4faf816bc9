
// The end of the entry module for a main module without a default export, which
// this module then must not have either: such a worker registers its handlers with
// addEventListener or offers named entrypoints only.
started({
  default: "default" in user,
  handlers: [],
  exports: Object.keys(user).slice(0, 500),
  entrypoints: entrypoints(user, WorkerEntrypoint),
  // What has no prototype makes no instances, so it is no class that could be bound.
  inert: !Object.keys(user).some((name) => typeof user[name] === "object" || user[name]?.prototype !== undefined),
});
