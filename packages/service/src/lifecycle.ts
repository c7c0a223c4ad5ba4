import { Deadline, DeadlineError, withDeadline } from "./deadline.ts";

/** A part of a process that is started, worked off and stopped. Each method resolves, whatever happened before. */
export interface Component {
	readonly name: string;
	start(): Promise<void>;
	/** Takes nothing new and works off what it has, for at most `deadlineMs`; resolves with the number of things cut off. */
	drain(deadlineMs: number): Promise<number>;
	/** Frees everything, at once. */
	stop(): Promise<void>;
}

export interface DrainOutcome {
	readonly cutOff: number;
	/** What went wrong or was late, one phrase each. */
	readonly problems: readonly string[];
}

/** How long a `stop()`, which has nothing to wait for, may take before it is left behind. */
const stopDeadlineMs = 1000;

/**
 * The parts of one process: started in order, drained and stopped in the reverse order, each within a deadline. One owner,
 * `main.ts`. A part that fails to start causes those before it to be stopped.
 */
export class Lifecycle {
	readonly #components: readonly Component[];
	#started: Component[] = [];

	constructor(components: readonly Component[]) {
		this.#components = components;
	}

	async start(): Promise<void> {
		for (const component of this.#components) {
			this.#started.unshift(component);
			try {
				await component.start();
			} catch (error) {
				await this.stop();
				throw error;
			}
		}
	}

	/** Drains all within one budget, last started first. A part that fails or is late counts as one thing cut off. */
	async drain(deadlineMs: number): Promise<DrainOutcome> {
		const deadline = new Deadline(deadlineMs);
		const problems: string[] = [];
		let cutOff = 0;
		for (const component of this.#started) {
			const leftMs = deadline.leftMs();
			try {
				cutOff += await withDeadline(component.drain(leftMs), leftMs, `draining ${component.name}`);
			} catch (error) {
				cutOff += 1;
				problems.push(error instanceof DeadlineError ? error.message : `draining ${component.name} failed: ${String(error)}`);
			}
		}
		return { cutOff, problems };
	}

	/** Frees all, last started first; the first error is thrown once every part has been stopped. May be called again. */
	async stop(): Promise<void> {
		const started = this.#started;
		this.#started = [];
		let failure: unknown;
		for (const component of started) {
			try {
				await withDeadline(component.stop(), stopDeadlineMs, `stopping ${component.name}`);
			} catch (error) {
				failure ??= error;
			}
		}
		if (failure !== undefined) throw failure;
	}
}
