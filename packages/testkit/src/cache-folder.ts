import { homedir } from "node:os";
import { join } from "node:path";

/** What tests keep on a machine: outside the repository, so that a clean clone finds it again. It may not exist yet, and may be deleted at any time. */
export const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "shardcast");
