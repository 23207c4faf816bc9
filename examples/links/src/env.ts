/** What wrangler.jsonc binds to this worker. */
export interface Env {
  ASSETS: Fetcher;
  VERSION: WorkerVersionMetadata;
  TITLE: string;
  /** Checked by `Shelf`, since anything can be written into a config file. */
  LINKS: unknown;
  /** A secret. Without it, links cannot be changed over the API. */
  ADMIN_TOKEN?: string;
}
