import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/**
 * Loads the library at its first use, so that it costs nothing without scrapes. Uses `require`, since Node remembers a failed `import` for the
 * life of the process: after one scrape without free descriptors, all later ones would fail.
 */
export function loadPromClient(): typeof import("prom-client") {
	return require("prom-client");
}
