
// Appended to the entry module when the worker has bindings whose calls are counted.
import { env as countable } from "cloudflare:workers";
import { countKV, countObjects } from "@@TRACE@@";
