
// The end of the entry module for a main module without a default export, which
// this module then must not have either: such a worker registers its handlers with
// addEventListener or offers named entrypoints only.
started({
  default: "default" in user,
  handlers: [],
  exports: Object.keys(user).slice(0, 500),
  entrypoints: entrypoints(user, WorkerEntrypoint),
});
