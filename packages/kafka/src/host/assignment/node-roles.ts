import type { ClusterNodes } from "@shardcast/control";
import type { PartitionRoles, SourcePartition } from "../../source.ts";
import { mixed, partitionShares } from "./partition-shares.ts";

interface NodeRolesParts {
	/** The nodes as this one knows them; null = it works alone. Rejects when the supervisor does not answer. */
	readonly nodes: () => Promise<ClusterNodes | null>;
	/** All partitions of the subscription. */
	readonly known: () => readonly SourcePartition[];
	readonly send: (roles: PartitionRoles) => void;
}

const askEveryMs = 1000;
const alone: PartitionRoles = { read: [], follow: [] };

/**
 * Divides the partitions among the nodes, in shared mode: each is read from Kafka by one node. All nodes compute the same division, from the members
 * in Redis. While they disagree, a partition is read by two nodes or by none, which does no harm: see PartitionRelay. **One per shard, on its loop.**
 */
export class NodeRoles {
	readonly #parts: NodeRolesParts;
	#members: readonly string[] = [];
	#self = "";
	#askedMs = Number.NEGATIVE_INFINITY;
	#asking = false;
	/** The nodes and partitions of what the worker was told. */
	#sent = "";

	constructor(parts: NodeRolesParts) {
		this.#parts = parts;
	}

	/** Call often. */
	look(nowMs: number): void {
		if (this.#asking || nowMs - this.#askedMs < askEveryMs) return;
		this.#askedMs = nowMs;
		this.#asking = true;
		void this.#ask().finally(() => {
			this.#asking = false;
			this.#tell();
		});
	}

	/** Call when a worker has started, which knows no roles yet. */
	forgetWorker(): void {
		this.#sent = "";
	}

	async #ask(): Promise<void> {
		// Without an answer, the members of the last one count.
		const nodes = await this.#parts.nodes().catch(() => undefined);
		if (nodes === undefined) return;
		// A node that others do not know reads everything itself.
		const isMember = nodes?.state === "member";
		this.#self = nodes?.id ?? "";
		this.#members = isMember ? nodes.nodes.filter(({ status }) => status === "serving").map(({ id }) => id) : [];
	}

	/** Computed only when nodes or partitions have changed: for many of them it takes milliseconds. */
	#tell(): void {
		const known = this.#parts.known();
		const partitions = known.map(({ row, topicId, partition }) => `${row} ${topicId}/${partition}`);
		const key = [this.#self, ...this.#members, "", ...partitions].join();
		if (key === this.#sent) return;
		this.#sent = key;
		this.#parts.send(rolesOf(known, this.#self, this.#members));
	}
}

/**
 * What a node does with each partition. No node reads more than one partition more than another. Partitions of topics without an id are read by all
 * nodes: only an id is the same on all nodes and different after the topic was recreated.
 * @param members ids of the nodes that read, in any order.
 */
export function rolesOf(partitions: readonly SourcePartition[], self: string, members: readonly string[]): PartitionRoles {
	if (members.every((id) => id === self)) return alone;
	const shared = partitions
		.filter(({ topicId }) => topicId !== null)
		.map((each) => ({ ...each, key: `${each.topicId}/${each.partition}` }));
	shared.sort((a, b) => (a.key < b.key ? -1 : 1));
	const nodes = [...new Set(members)].sort();
	const keys = shared.map(({ key }) => textHash(key));
	const ids = nodes.map(textHash);
	const indices = (items: readonly unknown[]) => items.map((_, index) => index);
	const shares = partitionShares(indices(keys), indices(ids), (row, member) => mixed(keys[row]! ^ Math.imul(ids[member]!, 0x9e3779b1)));
	const roles: { readonly read: number[]; readonly follow: number[] } = { read: [], follow: [] };
	shared.forEach(({ row }, index) => {
		const reader = shares.get(index);
		if (reader !== undefined) roles[nodes[reader] === self ? "read" : "follow"].push(row);
	});
	return roles;
}

/** FNV-1a. The same on all nodes, unlike `channelHash`. */
function textHash(text: string): number {
	let hash = 0x811c9dc5;
	for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
	return hash >>> 0;
}
