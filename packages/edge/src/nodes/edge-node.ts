import type { TargetFailure } from "@shardcast/relay";
import type { SelectableNode } from "@shardcast/selection";
import type { NodeHealth } from "./node-check.ts";
import type { KnownNode } from "./node-source.ts";

/** How long a node that has not served a connection gets no others. */
const shunMs = 1000;

interface EdgeNodeParts {
	/** What the source tells is not believed when it is older: Redis cannot be reached. */
	readonly toldForMs: number;
	/** With so many missed checks in a row it is lost. */
	readonly missesMax: number;
	readonly nowMs?: () => number;
}

/** A node as the edge sees it: what it is told, what the checks say, and the connections that it has through this edge. */
export class EdgeNode {
	readonly id: string;
	/** Connections through this edge. */
	open = 0;
	readonly assigned = { connected: 0, failed: 0 };
	readonly checks = { passed: 0, failed: 0 };
	readonly #parts: EdgeNodeParts;
	readonly #nowMs: () => number;
	#known: KnownNode;
	/** When the source last told about it. */
	#toldMs: number;
	/** Changes whenever other figures come, from either side. */
	#figuresAt = 0;
	#health: NodeHealth | null = null;
	#misses = 0;
	#problem: string | null = "has not answered yet";
	#isLost = false;
	#shunnedUntilMs = 0;
	/** Until then no check ends that. */
	#brokenUntilMs = 0;

	constructor(known: KnownNode, parts: EdgeNodeParts) {
		this.id = known.id;
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
		this.#known = known;
		this.#toldMs = this.#nowMs();
	}

	get known(): KnownNode {
		return this.#known;
	}

	/** Told again. */
	set known(known: KnownNode) {
		if (known.told?.heartbeatAt !== this.#known.told?.heartbeatAt) this.#figuresAt++;
		this.#known = known;
		this.#toldMs = this.#nowMs();
	}

	/** Why it gets no clients, as the rest of a sentence after its name; null = it does. */
	get problem(): string | null {
		if (this.#problem !== null) return this.#problem;
		return this.isDraining ? "is draining" : null;
	}

	get isDraining(): boolean {
		return this.#told?.status === "draining" || this.#health?.isDraining === true;
	}

	/** No check has ended yet. */
	get isUnknown(): boolean {
		return this.checks.passed + this.checks.failed === 0;
	}

	/** It has missed the last check, or does not answer. */
	get isSuspect(): boolean {
		return this.#misses > 0;
	}

	/** It has missed too many checks, or is no node of the cluster any more. What it has not answered, it probably never will. */
	get isLost(): boolean {
		return this.#isLost;
	}

	/** Whether it may get a client. */
	mayTake(nowMs: number): boolean {
		return this.#problem === null && !this.#isLost && nowMs >= this.#shunnedUntilMs;
	}

	onHealth(health: NodeHealth): void {
		this.checks.passed++;
		this.#misses = 0;
		this.#isLost = false;
		this.#shunnedUntilMs = this.#brokenUntilMs;
		this.#health = health;
		if (this.#told === null) this.#figuresAt++;
		this.#problem = health.isServing ? null : "is unhealthy";
	}

	onMiss(why: string): void {
		this.checks.failed++;
		if (++this.#misses < this.#parts.missesMax && this.#problem === null) return;
		this.#problem = why;
		this.#isLost = true;
	}

	/** The source does not name it any more. */
	onLeft(): void {
		this.#isLost = true;
	}

	/** A check that succeeds shows that it can be reached, but not that it serves what it has just broken. */
	onFailed(failure: TargetFailure, nowMs: number): void {
		this.assigned.failed++;
		this.#shunnedUntilMs = nowMs + shunMs;
		if (failure === "broken") this.#brokenUntilMs = this.#shunnedUntilMs;
	}

	/** For the strategies. Without figures from the node itself, its connections and the time of its answer are known. */
	get selectable(): SelectableNode & { readonly edgeNode: EdgeNode } {
		const { id, region, weight } = this.#known;
		const health = this.#health;
		const figures = this.#told ?? {
			status: "serving" as const,
			health: "healthy" as const,
			connections: health?.connections ?? 0,
			maxConnections: health?.maxConnections ?? 0,
			cpu: 0,
			memory: 0,
			loopLagMs: health?.tookMs ?? 0,
		};
		const status = this.isDraining ? "draining" : figures.status;
		return { ...figures, id, url: "", region, weight, status, heartbeatAt: this.#figuresAt, edgeNode: this };
	}

	/** Null = nobody tells how it is, or not any more. */
	get #told(): KnownNode["told"] {
		return this.#nowMs() - this.#toldMs < this.#parts.toldForMs ? this.#known.told : null;
	}
}
