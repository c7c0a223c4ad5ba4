import { readFileSync } from "node:fs";
import { join } from "node:path";
import { secretMatches } from "@shardcast/http";

/**
 * Knows our own balancer by the secret in the cluster directory. Read when somebody first claims to be the balancer, which makes
 * the file before it forwards anything.
 */
export function proxyTokenCheck(cluster: string): (given: string) => boolean {
	let token: string | null = null;
	return (given) => {
		token ??= read(join(cluster, "proxy-token"));
		return token !== null && secretMatches(given, token);
	};
}

/** Null = there is no balancer that forwards; the claim is somebody else's. */
function read(path: string): string | null {
	try {
		return readFileSync(path, "latin1").trim();
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
		throw error;
	}
}
