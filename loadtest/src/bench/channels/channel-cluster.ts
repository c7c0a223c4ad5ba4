import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subject } from "../support/subject.ts";
import { startClusterWithFlags } from "../tuning/flagged-cluster.ts";

/** Channels of this namespace have a history from which clients can be recovered. */
export const keptNamespace = "kept";

const config = `
client: { insecure: true }
channel:
  namespaces:
    - { name: ${keptNamespace}, history_size: 100, history_ttl: 10m, force_recovery: true }
`;

/** A cluster whose clients may do anything. @param env for its processes, on top of the bench's own. */
export async function startChannelCluster(env: Readonly<Record<string, string>> = {}): Promise<Subject> {
	const directory = mkdtempSync(join(tmpdir(), "bench-channels-"));
	const path = join(directory, "shardcast.yaml");
	writeFileSync(path, config);
	try {
		const subject = await startClusterWithFlags({ flags: ["--config", path], env });
		const stop = async (): Promise<void> => {
			await subject.stop().finally(() => rmSync(directory, { recursive: true, force: true }));
		};
		return { ...subject, stop };
	} catch (error) {
		rmSync(directory, { recursive: true, force: true });
		throw error;
	}
}
