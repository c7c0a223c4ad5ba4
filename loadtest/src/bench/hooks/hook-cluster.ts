import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, getJson, ManagedProcess } from "@shardcast/testkit";
import { parseTarget, type Target } from "../../target.ts";
import type { Subject } from "../support/subject.ts";
import { startClusterWithFlags } from "../tuning/flagged-cluster.ts";

/** One shard: what is compared runs on the same one. */
const shards = 1;

/** A cluster of one shard, whose own port clients use: the balancer has no part in what is measured. */
export interface ShardSubject extends Subject {
	readonly shard: Target;
}

/** Starts one with this configuration, which is written as JSON. */
export async function startShard(config: object): Promise<ShardSubject> {
	const directory = mkdtempSync(join(tmpdir(), "bench-hooks-"));
	const path = join(directory, "shardcast.yaml");
	writeFileSync(path, JSON.stringify(config));
	try {
		const subject = await startClusterWithFlags({ shards, flags: ["--config", path] });
		const stop = (): Promise<void> => subject.stop().finally(() => rmSync(directory, { recursive: true, force: true }));
		return { ...subject, stop, shard: parseTarget(subject.cluster.shardUrl(0)) };
	} catch (error) {
		rmSync(directory, { recursive: true, force: true });
		throw error;
	}
}

export interface Backend {
	readonly url: string;
	/** Events of webhooks that it has received. */
	events(): Promise<number>;
	stop(): Promise<void>;
}

export async function startBackend(): Promise<Backend> {
	const port = await freePorts();
	const process = await ManagedProcess.start(join(import.meta.dirname, "backend-program.js"), [String(port)]);
	await process.waitForOutput(/listening on/, 10_000);
	const url = `http://127.0.0.1:${port}`;
	return {
		url,
		events: async () => (await getJson<{ readonly events: number }>(`${url}/events`)).events,
		stop: async () => void (await process.stop()),
	};
}
