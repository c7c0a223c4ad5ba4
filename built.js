import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Why this package can't run yet, in one line; null = it can. @param entry what is to be imported. */
export function notBuilt(entry) {
	try {
		// Not there on a Node that is too old, which the program tells by itself.
		const url = import.meta.resolve?.(entry);
		return url === undefined || existsSync(fileURLToPath(url)) ? null : "not built yet; run npm run build";
	} catch {
		return "not installed yet; run npm ci && npm run build";
	}
}
