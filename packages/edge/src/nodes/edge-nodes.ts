import { EdgeNode } from "./edge-node.ts";
import { type CheckTarget, checkNode } from "./node-check.ts";
import type { NodeSource } from "./node-source.ts";

interface EdgeNodesParts {
	readonly source: NodeSource;
	readonly checkIntervalMs: number;
	readonly check: Pick<CheckTarget, "sendProxy" | "tls" | "timeoutMs" | "ofShards" | "hints">;
	/** With so many missed checks in a row a node is lost. */
	readonly missesMax: number;
	/** How long what the source tells counts. */
	readonly toldForMs: number;
	/** Called when a node is lost, and after each further check of it. */
	readonly onLost: () => void;
	/** Called when a node begins to get clients (null), ceases to, or gets none for another reason. @param before undefined = nothing was known yet. */
	readonly onTold: (node: EdgeNode, problem: string | null, before: string | null | undefined) => void;
	/** The source does not name it any more. */
	readonly onLeft: (node: EdgeNode) => void;
}

interface Watched {
	readonly node: EdgeNode;
	/** Of the next check; null while one is under way. */
	timer: NodeJS.Timeout | null;
	/** As last told in the log. */
	told: string | null | undefined;
}

/** A node that has missed a check is asked again after this time. */
const suspectMs = 500;

/** All nodes that the edge knows. It asks each for /health, one check at a time. One owner; bound: as many nodes as the source has. */
export class EdgeNodes {
	readonly #parts: EdgeNodesParts;
	readonly #watched = new Map<string, Watched>();
	#isStopped = false;

	constructor(parts: EdgeNodesParts) {
		this.#parts = parts;
	}

	get all(): readonly EdgeNode[] {
		return [...this.#watched.values()].map(({ node }) => node);
	}

	/** It is not known yet whether some node takes clients. */
	get isStarting(): boolean {
		if (this.#parts.source.isLooking) return true;
		return this.all.some(({ isUnknown }) => isUnknown) && this.all.every(({ problem }) => problem !== null);
	}

	start(): void {
		this.#parts.source.start(() => this.#update());
	}

	stop(): void {
		this.#isStopped = true;
		this.#parts.source.stop();
		for (const { timer } of this.#watched.values()) clearTimeout(timer ?? undefined);
	}

	/** Checks it now, because it has not served a connection. */
	suspect(node: EdgeNode): void {
		const watched = this.#watched.get(node.id);
		if (watched?.node === node && watched.timer !== null) this.#check(watched);
	}

	#update(): void {
		const { nodes } = this.#parts.source;
		for (const known of nodes) {
			const watched = this.#watched.get(known.id);
			if (watched === undefined || watched.node.known.host !== known.host || watched.node.known.port !== known.port) {
				this.#forget(known.id);
				const added: Watched = { node: new EdgeNode(known, this.#parts), timer: null, told: undefined };
				this.#watched.set(known.id, added);
				this.#check(added);
			} else {
				watched.node.known = known;
				this.#tell(watched);
			}
		}
		const ids = new Set(nodes.map(({ id }) => id));
		for (const id of this.#watched.keys()) {
			if (ids.has(id)) continue;
			const { node } = this.#watched.get(id)!;
			this.#forget(id);
			this.#parts.onLeft(node);
		}
	}

	#forget(id: string): void {
		const watched = this.#watched.get(id);
		if (watched === undefined) return;
		clearTimeout(watched.timer ?? undefined);
		this.#watched.delete(id);
		watched.node.onLeft();
		this.#parts.onLost();
	}

	#check(watched: Watched): void {
		clearTimeout(watched.timer ?? undefined);
		watched.timer = null;
		const { check, checkIntervalMs } = this.#parts;
		const { node } = watched;
		const { host, port } = node.known;
		void checkNode({ host, port, ...check })
			.then(
				(health) => node.onHealth(health),
				(error: Error) => node.onMiss(error.message),
			)
			.then(() => {
				if (this.#isStopped || this.#watched.get(node.id) !== watched) return;
				this.#tell(watched);
				if (node.isLost) this.#parts.onLost();
				const ms = node.isSuspect ? Math.min(suspectMs, checkIntervalMs) : checkIntervalMs;
				// Spread by up to a tenth, so that many edges do not ask at once.
				watched.timer = setTimeout(() => this.#check(watched), ms * (1 - Math.random() / 10));
			});
	}

	#tell(watched: Watched): void {
		const { node } = watched;
		const { problem } = node;
		if (node.isUnknown || watched.told === problem) return;
		const before = watched.told;
		watched.told = problem;
		this.#parts.onTold(node, problem, before);
	}
}
