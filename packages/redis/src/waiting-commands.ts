/** A command that waits until Redis is reached again. */
interface WaitingCommand {
	/** By `performance.now()`. */
	readonly endsMs: number;
	/** Sends it. */
	run(): void;
	/** It is not sent any more. */
	giveUp(): void;
}

/** Commands in the order in which they came, while Redis is not reached. Bounded: one too many is refused. */
export class WaitingCommands {
	readonly #max: number;
	#commands: WaitingCommand[] = [];

	constructor(max: number) {
		this.#max = max;
	}

	get size(): number {
		return this.#commands.length;
	}

	/** @returns false when there is no room. */
	add(command: WaitingCommand): boolean {
		if (this.#commands.length >= this.#max) return false;
		this.#commands.push(command);
		return true;
	}

	/** Sends all, oldest first. */
	runAll(): void {
		const commands = this.#commands;
		this.#commands = [];
		for (const command of commands) command.run();
	}

	/** Gives up those whose time is over, or all. */
	giveUp(nowMs = Number.POSITIVE_INFINITY): void {
		const over = this.#commands.filter(({ endsMs }) => endsMs <= nowMs);
		if (over.length === 0) return;
		this.#commands = this.#commands.filter(({ endsMs }) => endsMs > nowMs);
		for (const command of over) command.giveUp();
	}
}
