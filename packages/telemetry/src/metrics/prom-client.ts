import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/**
 * Loads the library at its first use: where nobody scrapes nobody pays. By `require`, since a failed `import` is remembered for the life of
 * the process: one scrape while the process is out of descriptors would cost all that follow.
 */
export function loadPromClient(): typeof import("prom-client") {
	return require("prom-client");
}
