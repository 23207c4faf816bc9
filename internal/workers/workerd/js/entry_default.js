
// The end of the entry module for a main module that has a default export.
const handlers = [];
const wrapped = wrap(user.default, undefined, handlers);
started({
  default: "default" in user,
  handlers,
  exports: Object.keys(user).filter((name) => name !== "default").slice(0, 500),
  entrypoints: entrypoints(user, WorkerEntrypoint),
});
export default wrapped;
