import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The secret by which shards know the balancer, in a file of the cluster directory: whoever comes first makes it. It is
 * there for as long as the cluster runs, so that a balancer or shard that is started again knows the same.
 */
export function proxyToken(clusterPath: string): string {
	const path = join(clusterPath, "proxy-token");
	// Written in full before it gets its name, and never over one that is there.
	const temporary = `${path}.${process.pid}`;
	writeFileSync(temporary, randomBytes(24).toString("base64url"), { mode: 0o600 });
	try {
		linkSync(temporary, path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
	} finally {
		rmSync(temporary, { force: true });
	}
	return readFileSync(path, "latin1").trim();
}
