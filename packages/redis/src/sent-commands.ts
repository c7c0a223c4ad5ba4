/** A command that was sent and has no reply yet. */
interface SentCommand {
	/** By `performance.now()`. */
	readonly sentMs: number;
	/** Has a reply, or was given up. */
	done: boolean;
	/** Called when no reply has come in time. */
	giveUp(): void;
}

/** The array is trimmed when it has this many finished entries at its start. */
const compactAt = 1024;

/** Sent commands, oldest first. All have the same timeout, so only the oldest needs checking. */
export class SentCommands {
	#commands: SentCommand[] = [];
	#first = 0;

	add(command: SentCommand): void {
		this.#commands.push(command);
	}

	/** Gives up all commands sent before `sentMs`. @returns whether there were any. */
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
