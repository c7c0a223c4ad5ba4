import { type NodeRecord, toldOf } from "./node-record.ts";

export type LeftReason = "timeout" | "stopped" | "replaced";

export interface NodeChanges {
	readonly joined: NodeRecord[];
	readonly left: { readonly node: NodeRecord; readonly reason: LeftReason }[];
	readonly updated: NodeRecord[];
}

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

	/** By id. */
	get nodes(): readonly NodeRecord[] {
		return [...this.#nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
	}

	/** Redis has announced that a node has left; the next look checks it. */
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
	 */
	update(there: readonly NodeRecord[], mayBeLate: boolean): NodeChanges {
		const changes: NodeChanges = { joined: [], left: [], updated: [] };
		const now = new Map(there.map((node) => [node.id, node]));
		for (const [id, node] of this.#nodes) {
			const announced = this.#announced.get(id);
			if (now.has(id) || (mayBeLate && announced === undefined)) continue;
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
		return changes;
	}
}
