import { type Config, parseAddress } from "@shardcast/config";
import type { ClusterNode } from "@shardcast/control";
import { NodeWatch } from "@shardcast/nodes";
import type { Log } from "@shardcast/telemetry";
import type { KnownNode, NodeSource } from "./node-source.ts";

/** The nodes that have joined in Redis. */
export class RedisNodes implements NodeSource {
	readonly about: string;
	readonly redis: NodeWatch["redis"];
	readonly #watch: NodeWatch;
	#onChange: () => void = () => {};

	/** @throws when a certificate for Redis cannot be read. */
	constructor(config: Config, log: Log) {
		this.#watch = new NodeWatch({ config, clientName: "shardcast:edge", log, onLook: () => this.#onChange() });
		this.redis = this.#watch.redis;
		this.about = `the nodes in Redis at ${this.redis.where}`;
	}

	get isLooking(): boolean {
		return !this.#watch.hasLooked;
	}

	get problem(): string | null {
		if (this.redis.state === "ready") return null;
		const since = this.isLooking ? "no nodes are known yet" : "the nodes are those that were known before";
		return `Redis at ${this.redis.where} cannot be reached, so ${since}`;
	}

	get nodes(): readonly KnownNode[] {
		return this.#watch.nodes.flatMap((node) => known(node) ?? []);
	}

	start(onChange: () => void): void {
		this.#onChange = onChange;
		this.#watch.start();
	}

	stop(): void {
		this.#watch.close();
	}
}

/** Null while the node does not know its address yet. */
function known(node: ClusterNode): KnownNode | null {
	try {
		const { host, port } = parseAddress(node.address);
		return host === undefined ? null : { id: node.id, host, port, region: node.region, weight: node.weight, told: node };
	} catch {
		return null;
	}
}
