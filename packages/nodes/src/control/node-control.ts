import { randomUUID } from "node:crypto";
import type { ControlCounts, NodeParts, OtherNodes } from "@shardcast/control";
import type { Redis } from "@shardcast/redis";
import type { Log } from "@shardcast/telemetry";
import type { NodeKeys } from "../node-keys.ts";
import type { NodeRecord } from "../node-record.ts";
import { awayIn, connectedCommand } from "./connected.ts";
import { type ControlAnswer, readAnswer, readRequest, writeAnswer, writeRequest } from "./control-messages.ts";

export interface NodeControlParts {
	readonly redis: Pick<Redis, "send" | "pipeline" | "subscribe" | "state" | "problem">;
	readonly keys: Pick<NodeKeys, "control" | "answers">;
	readonly own: { readonly id: string; readonly instance: string };
	/** The other nodes, as last known. */
	readonly others: () => readonly Pick<NodeRecord, "id" | "instance">[];
	/** The parts of this node's processes, for another node. Rejects when there is no answer. */
	readonly answer: (question: string, request: unknown) => Promise<readonly unknown[]>;
	readonly log: Pick<Log, "warn">;
}

interface Waiting {
	/** Instances of nodes that have not answered, by node. */
	readonly missing: Map<string, string>;
	readonly answers: Map<string, NodeParts>;
	/** Called when all have answered. */
	done(): void;
}

/** Most questions of other nodes that are answered at the same time; further ones are refused. */
const answeringMax = 64;
/** Most own questions that wait for answers. `Questions` has the same bound. */
const waitingMax = 64;
/** Minimum interval between log lines about messages that cannot be read. */
const warnEveryMs = 60_000;

/**
 * Questions and orders between nodes. All nodes receive questions on one channel, so a node that has just joined gets them, too. Each node's process has
 * a channel for answers. Together with the question, Redis is asked which of these channels have a subscriber: a node without one is dead or cut off,
 * and is not waited for.
 *
 * At most once: a node that does not get a question, or whose answer is lost, is reported as missing. **One per node.**
 */
export class NodeControl implements OtherNodes {
	readonly counts: ControlCounts = {
		asked: { answered: 0, failed: 0, late: 0, away: 0 },
		requests: { answered: 0, failed: 0, busy: 0 },
		unreadable: 0,
	};
	readonly #parts: NodeControlParts;
	readonly #waiting = new Map<string, Waiting>();
	#answering = 0;
	#warnedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: NodeControlParts) {
		this.#parts = parts;
	}

	/** Starts receiving. Resolves when Redis has confirmed it; while Redis cannot be reached, it keeps trying. */
	async start(): Promise<void> {
		const { redis, keys, own } = this.#parts;
		const sharded = { sharded: true };
		await Promise.allSettled([
			redis.subscribe(keys.control, (message) => void this.#onRequest(message), sharded),
			redis.subscribe(keys.answers(own.instance), (message) => void this.#onAnswer(message), sharded),
		]);
	}

	async ask(question: string, request: unknown, deadlineMs: number): Promise<readonly NodeParts[]> {
		const { redis, keys, own, others } = this.#parts;
		const { asked } = this.counts;
		if (redis.state !== "ready") return this.#nobody(redis.problem ?? "Redis is not reached");
		if (this.#waiting.size >= waitingMax) return this.#nobody(`${waitingMax} questions are already waiting for other nodes`);
		const id = randomUUID();
		const nodes = others();
		const missing = new Map(nodes.map((node) => [node.id, node.instance]));
		const answers = new Map<string, NodeParts>();
		let timer: NodeJS.Timeout | undefined;
		const ended = new Promise<boolean>((resolve) => {
			this.#waiting.set(id, { missing, answers, done: () => resolve(true) });
			timer = setTimeout(() => resolve(false), deadlineMs);
		});
		try {
			const text = writeRequest({ id, node: own.id, instance: own.instance, question, request });
			const instances = [...missing.values()];
			const sending = redis.pipeline([{ key: keys.control, args: ["SPUBLISH", keys.control, text] }, connectedCommand(keys, instances)]);
			const late = ended.then(() => null);
			const outcomes = await Promise.race([sending, late]);
			if (outcomes === null) {
				if (answers.size === 0 && missing.size > 0) return this.#nobody("Redis does not answer");
			} else {
				const [sent, receivers] = outcomes;
				if (sent === undefined || "error" in sent) return this.#nobody(sent?.error.message ?? "Redis did not answer");
				if (receivers !== undefined && "value" in receivers) this.#removeAway(id, awayIn(receivers.value, keys, instances));
				if (missing.size > 0) await ended;
			}
		} catch (error) {
			return this.#nobody((error as Error).message);
		} finally {
			clearTimeout(timer);
			this.#waiting.delete(id);
		}
		for (const node of missing.keys()) answers.set(node, { node, problem: `no answer within ${Math.round(deadlineMs)} ms`, isAway: false });
		asked.late += missing.size;
		return [...answers.values()];
	}

	/** The question has reached no node. */
	#nobody(problem: string): readonly NodeParts[] {
		const nodes = this.#parts.others();
		this.counts.asked.away += Math.max(1, nodes.length);
		if (nodes.length === 0) return [{ node: "other nodes", problem, isAway: true }];
		return nodes.map(({ id }) => ({ node: id, problem, isAway: true }));
	}

	/** @param away instances of processes that do not get the question. */
	#removeAway(id: string, away: ReadonlySet<string>): void {
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		for (const [node, instance] of [...waiting.missing]) {
			if (!away.has(instance)) continue;
			waiting.missing.delete(node);
			this.counts.asked.away++;
			waiting.answers.set(node, { node, problem: "it is not connected to Redis", isAway: true });
		}
	}

	async #onAnswer(message: Buffer): Promise<void> {
		let answer: ControlAnswer;
		try {
			answer = await readAnswer(message);
		} catch (error) {
			this.#unreadable("an answer", error as Error);
			return;
		}
		const { id, node } = answer;
		const waiting = this.#waiting.get(id);
		// Too late, or a second one.
		if (waiting === undefined || waiting.answers.has(node)) return;
		this.counts.asked["parts" in answer ? "answered" : "failed"]++;
		waiting.answers.set(node, "parts" in answer ? { node, parts: answer.parts } : { node, problem: answer.error, isAway: false });
		waiting.missing.delete(node);
		if (waiting.missing.size === 0) waiting.done();
	}

	async #onRequest(message: Buffer): Promise<void> {
		const { redis, keys, own, answer } = this.#parts;
		const { requests } = this.counts;
		let asked: ReturnType<typeof readRequest>;
		try {
			asked = readRequest(message);
		} catch (error) {
			this.#unreadable("a question", error as Error);
			return;
		}
		const { id, instance, question, request } = asked;
		if (instance === own.instance) return;
		const from = { id, node: own.id };
		let reply: Buffer;
		if (this.#answering >= answeringMax) {
			requests.busy++;
			reply = await writeAnswer({ ...from, error: `${answeringMax} questions of other nodes are already in progress` });
		} else {
			this.#answering++;
			try {
				reply = await writeAnswer({ ...from, parts: await answer(question, request) });
				requests.answered++;
			} catch (error) {
				requests.failed++;
				reply = await writeAnswer({ ...from, error: (error as Error).message.slice(0, 500) });
			} finally {
				this.#answering--;
			}
		}
		const to = keys.answers(instance);
		// Without the answer, the other node reports this one as missing.
		await redis.send(to, ["SPUBLISH", to, reply]).catch(() => undefined);
	}

	#unreadable(what: string, { message }: Error): void {
		this.counts.unreadable++;
		const nowMs = performance.now();
		if (nowMs - this.#warnedMs < warnEveryMs) return;
		this.#warnedMs = nowMs;
		this.#parts.log.warn(`${what} on the control channel of Redis cannot be read: ${message.slice(0, 200)}`);
	}
}
