import { monotonicMs } from "@shardcast/wire";
import { share } from "../share.ts";
import { totalMs, valueAt } from "../stages/stages.ts";
import type { FollowOptions } from "./protocol.ts";

const tickMs = 50;

/** The part of a fleet that it needs. */
interface StagedClients {
	/** Connections that wait for an answer. */
	readonly connecting: number;
	want(count: number): void;
	giveUpAfter(connectMs: number): void;
	halt(): void;
}

/** Opens and closes the clients of one receiver as the stages say, from `run` on. */
export class StageFollower {
	readonly #fleet: StagedClients;
	readonly #options: FollowOptions;
	#halted = false;

	constructor(fleet: StagedClients, options: FollowOptions) {
		this.#fleet = fleet;
		this.#options = options;
	}

	/** Resolves when the stages are over, or when they are halted, and no connection waits for an answer. */
	run(): Promise<void> {
		const { stages, connectMs } = this.#options;
		const startMs = monotonicMs();
		const endMs = totalMs(stages);
		let isOver = false;
		return new Promise((resolve) => {
			const tick = (): void => {
				const atMs = monotonicMs() - startMs;
				if (!isOver && !this.#halted) this.#fleet.want(this.#wanted(Math.min(atMs, endMs)));
				this.#fleet.giveUpAfter(connectMs);
				if (atMs < endMs && !this.#halted) return;
				if (!isOver) this.#fleet.halt();
				isOver = true;
				if (!this.#halted && this.#fleet.connecting > 0) return;
				clearInterval(timer);
				resolve();
			};
			const timer = setInterval(tick, tickMs);
			tick();
		});
	}

	halt(): void {
		this.#halted = true;
	}

	#wanted(atMs: number): number {
		const { stages, receiver, receivers, others } = this.#options;
		return share(Math.max(0, Math.round(valueAt(stages, atMs)) - others), receivers, receiver);
	}
}
