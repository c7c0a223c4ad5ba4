/** A command that has been sent and not been answered. */
interface SentCommand {
	/** By `performance.now()`. */
	readonly sentMs: number;
	/** Answered, or given up. */
	done: boolean;
	/** No answer came in time. */
	giveUp(): void;
}

/** A look back over so many that are done is worth moving the rest. */
const compactAt = 1024;

/** What has been sent, oldest first. All have the same time for their answer, so only the oldest has to be looked at. */
export class SentCommands {
	#commands: SentCommand[] = [];
	#first = 0;

	add(command: SentCommand): void {
		this.#commands.push(command);
	}

	/** Gives up all that were sent before. @returns whether there were any. */
	giveUpBefore(sentMs: number): boolean {
		let any = false;
		for (; this.#first < this.#commands.length; this.#first++) {
			const command = this.#commands[this.#first];
			if (command.done) continue;
			if (command.sentMs >= sentMs) break;
			command.giveUp();
			any = true;
		}
		if (this.#first >= compactAt || this.#first === this.#commands.length) {
			this.#commands = this.#commands.slice(this.#first);
			this.#first = 0;
		}
		return any;
	}
}
