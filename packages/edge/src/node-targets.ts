import { canonicalAddress } from "@shardcast/http";
import {
	queryIn,
	type Refusal,
	Refusals,
	type Target,
	type TargetFailure,
	type TargetLink,
	type TargetRequest,
	type Targets,
	type UnplacedRequest,
	withMessage,
} from "@shardcast/relay";
import { NodeSelector, NoNode, type SelectionRules, usesUser } from "@shardcast/selection";
import type { EdgeNode } from "./nodes/edge-node.ts";
import type { EdgeNodes } from "./nodes/edge-nodes.ts";

interface NodeTargetsParts {
	readonly nodes: EdgeNodes;
	/** Read for each connection. */
	readonly rules: () => {
		readonly selectStrategy: SelectionRules["strategy"];
		readonly selectRegion: SelectionRules["region"];
		/** Of the edge; "" = none. */
		readonly nodeRegion: string;
		/** 0 = no limit. */
		readonly edgeMaxConnections: number;
	};
	readonly link: TargetLink;
}

/** After the start, a connection waits this long for the first answer of a node. */
const firstAnswerMs = 5000;

/** Nodes as targets of proxied connections. Each edge decides on its own: by what the nodes report, and what it has sent them since. */
export class NodeTargets implements Targets {
	readonly waitMs = 0;
	readonly heldUpMs = firstAnswerMs;
	readonly unreachable: Refusal = withMessage(Refusals.noNode, "no node could be reached");
	readonly #parts: NodeTargetsParts;
	readonly #selector = new NodeSelector();
	#connections = 0;
	#why = "";

	constructor(parts: NodeTargetsParts) {
		this.#parts = parts;
	}

	/** Connections to all nodes together. */
	get connections(): number {
		return this.#connections;
	}

	areHeldUp(): boolean {
		return this.#parts.nodes.isStarting;
	}

	get mayTakeBack(): boolean {
		const nowMs = performance.now();
		return this.#parts.nodes.all.some((node) => node.mayTake(nowMs));
	}

	open(): void {}

	look(): void {}

	pick(request: TargetRequest): Target | null {
		const { nodes, rules } = this.#parts;
		const { selectStrategy: strategy, selectRegion, nodeRegion, edgeMaxConnections } = rules();
		if (edgeMaxConnections > 0 && this.#connections >= edgeMaxConnections) {
			this.#why = `this edge has reached its limit of ${edgeMaxConnections} connections (--edge-max-connections)`;
			return null;
		}
		const nowMs = performance.now();
		const tried = new Set(request.tried.map((target) => (target as NodeTarget).node));
		const { all } = nodes;
		const able = all.filter((node) => node.mayTake(nowMs) && !tried.has(node)).map(({ selectable }) => selectable);
		const asked = {
			address: canonicalAddress(request.address()),
			user: usesUser(strategy) ? userIn(request) : "",
			region: selectRegion === "own" ? nodeRegion : "",
			avoid: [],
		};
		try {
			const known = { id: "", state: "member", nodes: able };
			const { node, end } = this.#selector.selectAmong(known, { strategy, region: "any", needsUrl: false }, asked);
			return new NodeTarget(node.edgeNode, end, this, this.#parts.link);
		} catch (error) {
			if (!(error instanceof NoNode)) throw error;
			this.#why = able.length === 0 ? `none of ${all.length} nodes can take a client now` : error.message;
			return null;
		}
	}

	refusal(_request: UnplacedRequest, isStopping: boolean): Refusal {
		return isStopping ? Refusals.stopping : withMessage(Refusals.noNode, this.#why);
	}

	/** Called by the targets. */
	count(node: EdgeNode, connections: number): void {
		node.open += connections;
		this.#connections += connections;
	}

	/** Called by the targets. */
	shun(node: EdgeNode, failure: TargetFailure): void {
		node.onFailed(failure, performance.now());
		this.#parts.nodes.suspect(node);
	}
}

/** The node that one connection goes to. */
class NodeTarget implements Target {
	readonly host: string;
	readonly port: number;
	readonly link: TargetLink;
	readonly node: EdgeNode;
	readonly #owner: NodeTargets;
	readonly #end: () => void;

	/** @param end takes the connection out of the selector's count. */
	constructor(node: EdgeNode, end: () => void, owner: NodeTargets, link: TargetLink) {
		this.link = link;
		this.node = node;
		this.#end = end;
		this.host = node.known.host;
		this.port = node.known.port;
		this.#owner = owner;
	}

	get isStandingStill(): boolean {
		return this.node.isLost;
	}

	count(connections: number): void {
		this.#owner.count(this.node, connections);
		if (connections < 0) this.#end();
	}

	shun(failure: TargetFailure): void {
		this.#owner.shun(this.node, failure);
	}

	/** Answers of nodes are passed on, whatever they are. */
	unserved(): void {}

	connected(): void {
		this.node.assigned.connected++;
	}
}

/** The user in the URL's query, for strategies that use it. Anyone may write anything there: it only decides which node comes first. */
function userIn({ head, bytes }: TargetRequest): string {
	return new URLSearchParams(queryIn(head, bytes)).get("user") ?? "";
}
