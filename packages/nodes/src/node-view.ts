import { type NodeRecord, toldOf } from "./node-record.ts";

export type LeftReason = "timeout" | "stopped" | "replaced";

export interface NodeChanges {
	readonly joined: NodeRecord[];
	readonly left: { readonly node: NodeRecord; readonly reason: LeftReason }[];
	readonly updated: NodeRecord[];
}

/** For the announcement of why a node is gone, when its absence is seen first. */
export const announcementMs = 200;

/**
 * The other nodes as known to this one. Events result from comparing the nodes in Redis with the known ones, not from messages, which may be lost.
 * So each change is reported exactly once, also after an outage.
 */
export class NodeView {
	readonly #nodes = new Map<string, NodeRecord>();
	/** Nodes whose end was announced. */
	readonly #announced = new Map<string, LeftReason>();
	/** Those of them that the present look can confirm or refute. */
	#checked: readonly string[] = [];
	/** Nodes that are gone without an announcement, and since when. */
	#missed: ReadonlyMap<string, number> = new Map();

	/** By id. */
	get nodes(): readonly NodeRecord[] {
		return [...this.#nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
	}

	/**
	 * Whether a node is gone whose end was not announced. The announcement comes over another connection, and may be on its way: for `announcementMs` the
	 * node stays in the view. Look again then.
	 */
	get isUnexplained(): boolean {
		return this.#missed.size > 0;
	}

	/** Redis has announced that a node has left, or this node has removed it; the next look checks it. */
	onLeft(id: string, reason: LeftReason): void {
		if (this.#nodes.has(id)) this.#announced.set(id, reason);
	}

	/** Call before the nodes are read for `update`. Those whose end is announced while they are read may still be among them: the look after that checks it. */
	beginLook(): void {
		this.#checked = [...this.#announced.keys()];
	}

	/**
	 * @param there all nodes that are in Redis now, without this one.
	 * @param mayBeLate Redis was unreachable, or has lost its data: missing nodes may only not be back yet. Those whose end was announced have left
	 * nevertheless.
	 * @param nowMs on a monotonic clock.
	 */
	update(there: readonly NodeRecord[], mayBeLate: boolean, nowMs: number): NodeChanges {
		const changes: NodeChanges = { joined: [], left: [], updated: [] };
		const now = new Map(there.map((node) => [node.id, node]));
		const missed = new Map<string, number>();
		for (const [id, node] of this.#nodes) {
			const announced = this.#announced.get(id);
			if (now.has(id) || (mayBeLate && announced === undefined)) continue;
			const sinceMs = this.#missed.get(id) ?? nowMs;
			if (announced === undefined && nowMs < sinceMs + announcementMs) {
				missed.set(id, sinceMs);
				continue;
			}
			this.#nodes.delete(id);
			this.#announced.delete(id);
			changes.left.push({ node, reason: announced ?? "timeout" });
		}
		for (const [id, node] of now) {
			const before = this.#nodes.get(id);
			this.#nodes.set(id, node);
			if (before === undefined) changes.joined.push(node);
			else if (before.instance !== node.instance) {
				changes.left.push({ node: before, reason: "replaced" });
				changes.joined.push(node);
			} else if (toldOf(before) !== toldOf(node)) changes.updated.push(node);
		}
		for (const id of this.#checked) this.#announced.delete(id);
		this.#missed = missed;
		return changes;
	}
}
