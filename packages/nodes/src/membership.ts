import type { ClusterNode, ClusterNodes, NodeCounts, NodeFacts, NodeLoad, NodeState, ScaleEvent } from "@shardcast/control";
import { type Redis, RedisError } from "@shardcast/redis";
import { heartbeatScript, leaveScript } from "./membership-scripts.ts";
import type { NodeKeys } from "./node-keys.ts";
import { isDeadProcess, type NodeProcess, type NodeRecord, parseNodeRecord, publicNode, toldOf } from "./node-record.ts";
import { announcementMs, type LeftReason, type NodeChanges, NodeView } from "./node-view.ts";
import { readNodeEvent, readNodes } from "./read-nodes.ts";
import { totalsOf } from "./totals.ts";

interface OwnNode {
	readonly id: string;
	/** Random. */
	readonly instance: string;
	readonly process: NodeProcess;
}

interface MembershipParts {
	readonly redis: Pick<Redis, "run" | "pipeline" | "send" | "subscribe" | "onRestored" | "state" | "problem">;
	readonly keys: NodeKeys;
	readonly own: OwnNode;
	readonly heartbeatMs: number;
	readonly timeoutMs: number;
	/** What each heartbeat sends to the others. */
	readonly describe: () => { readonly facts: NodeFacts; readonly load: NodeLoad };
	/** @param afterMs how long the previous state lasted. */
	readonly onState: (state: NodeState, afterMs: number) => void;
	readonly onChanges: (changes: NodeChanges) => void;
	/** Called after each heartbeat, when the other nodes have been read. */
	readonly onLook?: () => void;
	/** This node has made the change in Redis, so it is the only one that is told of it here. */
	readonly onReport?: (report: NodeReport) => void;
}

/** A node has joined, left or changed, or the cluster should grow or shrink. Reported once in the cluster, by the node that has made the change in Redis. */
export type NodeReport =
	| { readonly type: "joined" | "updated"; readonly node: ClusterNode }
	| { readonly type: "left"; readonly id: string; readonly reason: LeftReason }
	| { readonly type: ScaleEvent["type"]; readonly event: ScaleEvent };

/** Another node has the id. */
export class NodeIdTaken extends Error {
	readonly holder: NodeRecord | null;

	constructor(holder: NodeRecord | null) {
		super("another machine has the id");
		this.holder = holder;
	}
}

/** Heartbeats are sent earlier by up to this share, at random, so that many nodes do not send theirs at once. */
const jitter = 0.1;
/** How often a starting node checks whether another node still has its id. */
const claimEveryMs = 200;
/** Several events within this time cause one check. */
const lookSoonMs = 20;
const metricsHeartbeats = 3;

/**
 * Keeps this node's entry in Redis, and knows the other nodes. The entry is a lease, which expires after the node timeout without a heartbeat. This
 * node measures the same time on its own monotonic clock, from the moment it sent the last successful heartbeat. So it knows that it is cut off no later
 * than the others do. Clocks of different nodes are never compared. One owner.
 */
export class Membership {
	readonly #parts: MembershipParts;
	readonly #view = new NodeView();
	readonly #counts = { sent: 0, failed: 0, taken: 0, joined: 0, left: 0, updated: 0, cutOff: 0, cutOffMs: 0 };
	#state: NodeState = "joining";
	#stateMs = performance.now();
	#problem: string | null = null;
	#holder: NodeRecord | null = null;
	/** In which the holder expires. */
	#holderLeftMs = 0;
	/** By `performance.now()`. */
	#leaseEndsMs = 0;
	/** Until then, missing nodes may only be late. By `performance.now()`. */
	#lateUntilMs = 0;
	#lastFacts = "";
	#ownRecord: NodeRecord | null = null;
	#beating: Promise<void> | null = null;
	#beatAgain = false;
	#timer: NodeJS.Timeout | undefined;
	#lease: NodeJS.Timeout | undefined;
	#look: NodeJS.Timeout | undefined;
	/** When it is due, by `performance.now()`. */
	#lookMs = Number.POSITIVE_INFINITY;
	#endWatch: (() => void) | null = null;

	constructor(parts: MembershipParts) {
		this.#parts = parts;
	}

	get state(): NodeState {
		return this.#state;
	}

	/** One sentence, without the node's name; null while it is a member. */
	get reason(): string | null {
		const problem = this.#parts.redis.problem ?? this.#problem ?? "no answer yet";
		switch (this.#state) {
			case "member":
				return null;
			case "joining":
				return `it has not joined the others: ${problem}`;
			case "cutOff":
				return `it is cut off from the others: ${problem}`;
			case "taken":
				return `another machine has this id${this.#holder === null ? "" : `: ${this.#holder.address}`}`;
			default:
				return "it has left";
		}
	}

	get counts(): NodeCounts {
		const cutOffMs = this.#counts.cutOffMs + (this.#state === "cutOff" ? performance.now() - this.#stateMs : 0);
		return { ...this.#counts, cutOffMs };
	}

	/** The other nodes, as last known. */
	get others(): readonly NodeRecord[] {
		return this.#view.nodes;
	}

	/** All nodes, as last known, including this one. */
	nodes(): ClusterNodes {
		const { own } = this.#parts;
		const all = [...this.#view.nodes, ...(this.#ownRecord === null ? [] : [this.#ownRecord])];
		const nodes = all.sort((a, b) => (a.id < b.id ? -1 : 1)).map(publicNode);
		const { reason } = this;
		return { id: own.id, state: this.#state, ...(reason === null ? {} : { reason }), nodes, totals: totalsOf(nodes) };
	}

	/**
	 * Joins if Redis can be reached; otherwise `start` keeps trying. A dead process of this machine that has the id is replaced at once. If another machine
	 * has it, this waits until its entry has expired.
	 * @throws NodeIdTaken when the holder keeps sending heartbeats.
	 */
	async claim(): Promise<void> {
		let replaces = "";
		let first: NodeRecord | null = null;
		let endsMs = Number.POSITIVE_INFINITY;
		for (;;) {
			// An answer that this process reads late may be from before the entry has expired.
			const askedMs = performance.now();
			try {
				await this.#beat(replaces);
			} catch (error) {
				if (error instanceof RedisError) return;
				throw error;
			}
			if (this.#state !== "taken") return;
			const holder = this.#holder;
			if (holder === null || (first !== null && (holder.instance !== first.instance || holder.heartbeatAt > first.heartbeatAt)))
				throw new NodeIdTaken(holder);
			if (askedMs > endsMs) throw new NodeIdTaken(holder);
			if (first === null) {
				first = holder;
				endsMs = performance.now() + this.#holderLeftMs + claimEveryMs;
				if (isDeadProcess(holder.process, this.#parts.own.process)) replaces = holder.instance;
			}
			if (replaces === "") await new Promise((resolve) => setTimeout(resolve, claimEveryMs));
		}
	}

	/** Starts the heartbeats. Call once, after `claim`. */
	start(): void {
		const { redis, keys } = this.#parts;
		this.#endWatch = redis.onRestored(() => {
			this.#lateUntilMs = performance.now() + this.#parts.timeoutMs;
			this.#beatSoon();
		});
		// If it fails, it is retried when Redis can be reached; until then the heartbeats notice changes.
		redis.subscribe(keys.events, (message) => this.#onEvent(message)).catch(() => undefined);
		this.#schedule();
	}

	/** Call when something has changed that the others should know at once. */
	changed(): void {
		if (this.#timer !== undefined) this.#beatSoon();
	}

	/** Announces that this node leaves. Resolves when Redis knows it, or cannot be reached: then the entry expires. */
	async leave(): Promise<void> {
		const { redis, keys, own } = this.#parts;
		clearTimeout(this.#timer);
		clearTimeout(this.#lease);
		clearTimeout(this.#look);
		this.#endWatch?.();
		this.#timer = undefined;
		const was = this.#state;
		this.#setState("left");
		await this.#beating?.catch(() => undefined);
		if (was !== "member" || redis.state !== "ready") return;
		// Without an answer, the entry expires.
		const left = await redis.run(leaveScript, [keys.node(own.id), keys.nodes], [own.id, own.instance, keys.events]).catch(() => undefined);
		if (left === 1) this.#parts.onReport?.({ type: "left", id: own.id, reason: "stopped" });
	}

	#schedule(): void {
		const ms = this.#parts.heartbeatMs * (1 - jitter * Math.random());
		this.#timer = setTimeout(() => {
			this.#beatSoon();
			this.#schedule();
		}, ms);
	}

	/** Sends one heartbeat at a time, and another one if something has happened meanwhile. */
	#beatSoon(): void {
		if (this.#state === "left") return;
		if (this.#beating !== null) {
			this.#beatAgain = true;
			return;
		}
		this.#beating = this.#beat("")
			.catch(() => undefined)
			.finally(() => {
				this.#beating = null;
				if (!this.#beatAgain) return;
				this.#beatAgain = false;
				this.#beatSoon();
			});
	}

	/** @throws RedisError */
	async #beat(replaces: string): Promise<void> {
		const { redis, keys, own, timeoutMs } = this.#parts;
		const { facts, load } = this.#parts.describe();
		const told = toldOf(facts);
		const isUpdate = told !== this.#lastFacts;
		const json = JSON.stringify({ id: own.id, instance: own.instance, ...facts, ...load, process: own.process });
		// As this node sees itself, also while the others hear nothing of it.
		const { term = 0, heartbeatAt = 0 } = this.#ownRecord ?? {};
		this.#ownRecord = { id: own.id, instance: own.instance, ...facts, ...load, term, heartbeatAt, process: own.process };
		const sentMs = performance.now();
		// What is announced from now on needs another check.
		clearTimeout(this.#look);
		this.#lookMs = Number.POSITIVE_INFINITY;
		this.#counts.sent++;
		let answer: readonly unknown[];
		try {
			const args = [own.id, own.instance, json, String(timeoutMs), keys.events, replaces, isUpdate ? "updated" : ""];
			answer = (await redis.run(heartbeatScript, [keys.node(own.id), keys.nodes, keys.term], args)) as readonly unknown[];
		} catch (error) {
			this.#counts.failed++;
			this.#problem = (error as Error).message;
			throw error;
		}
		if (this.#state === "left") return;
		if (answer[0] === "taken") {
			this.#counts.taken++;
			this.#holder = parseNodeRecord(answer[1]);
			this.#holderLeftMs = Number(answer[2]);
			this.#setState("taken");
			return;
		}
		this.#lastFacts = told;
		this.#problem = null;
		const [, now, newTerm, joined, removed, ...entries] = answer;
		if (joined !== 0 && this.#state !== "joining") this.#lateUntilMs = performance.now() + timeoutMs;
		this.#ownRecord = { ...this.#ownRecord, term: Number(newTerm), heartbeatAt: Number(now) };
		const expired = (removed as readonly unknown[]).map(String);
		this.#report(joined as number, term === 0, isUpdate, expired);
		this.#leaseEndsMs = sentMs + timeoutMs;
		this.#watchLease();
		if (performance.now() < this.#leaseEndsMs) this.#setState("member");
		// The announcement comes over another connection.
		for (const id of expired) this.#view.onLeft(id, "timeout");
		await this.#lookAtOthers(Number(now), entries.map(String));
	}

	/** @param isFirst whether this process has not been a member before. @param expired the ids of those that this heartbeat has removed. */
	#report(joined: number, isFirst: boolean, isUpdate: boolean, expired: readonly string[]): void {
		const { onReport, own } = this.#parts;
		if (onReport === undefined) return;
		for (const id of expired) onReport({ type: "left", id, reason: "timeout" });
		const node = publicNode(this.#ownRecord!);
		// The index still has an earlier process with this id, whose end nobody has reported. Or this process itself: nobody has missed it.
		if (joined === 2 && isFirst) onReport({ type: "left", id: own.id, reason: "replaced" });
		// With 0, the reply to an earlier heartbeat was lost: this process is a member already, and nobody has reported it.
		if (joined === 1 || isFirst) onReport({ type: "joined", node });
		else if (isUpdate) onReport({ type: "updated", node });
	}

	/** @param entries id, expiry, id, expiry … */
	async #lookAtOthers(now: number, entries: readonly string[]): Promise<void> {
		const { redis, keys, own } = this.#parts;
		const others: string[] = [];
		let nextMs = Number.POSITIVE_INFINITY;
		for (let at = 0; at + 1 < entries.length; at += 2) {
			if (entries[at] === own.id) continue;
			others.push(entries[at]);
			const leftMs = Number(entries[at + 1]) - now;
			// One that has expired is still there if this machine may not remove it yet.
			if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
		}
		this.#view.beginLook();
		const there = await readNodes(redis, keys, others);
		if (this.#state === "left") return;
		const nowMs = performance.now();
		const changes = this.#view.update(there, nowMs < this.#lateUntilMs, nowMs);
		this.#counts.joined += changes.joined.length;
		this.#counts.left += changes.left.length;
		this.#counts.updated += changes.updated.length;
		if (changes.joined.length + changes.left.length + changes.updated.length > 0) this.#parts.onChanges(changes);
		this.#parts.onLook?.();
		// When the next entry may have expired. The first node that checks removes it.
		if (nextMs < this.#parts.heartbeatMs) this.#lookIn(Math.max(lookSoonMs, nextMs + 1));
		if (this.#view.isUnexplained) this.#lookIn(announcementMs);
		await this.#writeTotals();
	}

	/** One node reports for all: the one whose id sorts first. */
	async #writeTotals(): Promise<void> {
		const { redis, keys, own, heartbeatMs } = this.#parts;
		const { nodes, totals } = this.nodes();
		if (nodes[0]?.id !== own.id) return;
		const fields = Object.entries(totals).flatMap(([name, value]) => [name, String(value)]);
		await redis.pipeline([
			{ key: keys.metrics, args: ["HSET", keys.metrics, ...fields] },
			{ key: keys.metrics, args: ["PEXPIRE", keys.metrics, String(metricsHeartbeats * heartbeatMs)] },
		]);
	}

	#onEvent(message: Buffer): void {
		// After a message of another program, the check does no harm.
		const { type, node, reason } = readNodeEvent(message) ?? {};
		if (type === "scaleUp" || type === "scaleDown") return;
		if (node === this.#parts.own.id && type !== "left") return;
		if (type === "left") this.#view.onLeft(String(node), reason === "stopped" ? "stopped" : "timeout");
		this.#lookIn(lookSoonMs);
	}

	#lookIn(ms: number): void {
		const dueMs = performance.now() + ms;
		if (dueMs >= this.#lookMs) return;
		clearTimeout(this.#look);
		this.#lookMs = dueMs;
		this.#look = setTimeout(() => this.#beatSoon(), ms);
	}

	#watchLease(): void {
		clearTimeout(this.#lease);
		// A timer may fire up to a millisecond early.
		this.#lease = setTimeout(() => this.#onLeaseEnd(), Math.max(1, this.#leaseEndsMs - performance.now() + 1));
	}

	#onLeaseEnd(): void {
		if (this.#state !== "member") return;
		if (performance.now() < this.#leaseEndsMs) {
			this.#watchLease();
			return;
		}
		this.#counts.cutOff++;
		this.#setState("cutOff");
	}

	#setState(state: NodeState): void {
		if (this.#state === state) return;
		const nowMs = performance.now();
		const afterMs = nowMs - this.#stateMs;
		if (this.#state === "cutOff") this.#counts.cutOffMs += afterMs;
		this.#state = state;
		this.#stateMs = nowMs;
		this.#parts.onState(state, afterMs);
	}
}
