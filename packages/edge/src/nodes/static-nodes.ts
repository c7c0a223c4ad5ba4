import { parseEdgeNode } from "@shardcast/config";
import type { KnownNode, NodeSource } from "./node-source.ts";

/** The nodes of `--nodes`. */
export class StaticNodes implements NodeSource {
	readonly about: string;
	readonly isLooking = false;
	readonly problem = null;
	readonly nodes: readonly KnownNode[];

	constructor(items: readonly string[]) {
		this.nodes = items.map((item) => {
			const { text, host, port, weight } = parseEdgeNode(item);
			return { id: text, host, port, region: "", weight, told: null };
		});
		this.about = this.nodes.length === 1 ? `the node ${this.nodes[0]!.id}` : `${this.nodes.length} nodes`;
	}

	start(onChange: () => void): void {
		onChange();
	}

	stop(): void {}
}
