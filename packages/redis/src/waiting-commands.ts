/** A command that waits until Redis can be reached. */
interface WaitingCommand {
	/** By `performance.now()`. */
	readonly endsMs: number;
	/** Sends it. */
	run(): void;
	/** Fails the command without sending it. */
	giveUp(): void;
}

/** Commands that wait while Redis cannot be reached, in order of arrival. Bounded: when full, further ones are refused. */
export class WaitingCommands {
	readonly #max: number;
	#commands: WaitingCommand[] = [];

	constructor(max: number) {
		this.#max = max;
	}

	get size(): number {
		return this.#commands.length;
	}

	/** @returns false when it is full. */
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

	/** Gives up the commands whose time has passed by `nowMs`; by default all. */
	giveUp(nowMs = Number.POSITIVE_INFINITY): void {
		const over = this.#commands.filter(({ endsMs }) => endsMs <= nowMs);
		if (over.length === 0) return;
		this.#commands = this.#commands.filter(({ endsMs }) => endsMs > nowMs);
		for (const command of over) command.giveUp();
	}
}
