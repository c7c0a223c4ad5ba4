import { DeliveryChecker, type DeliveryReport, RawClient, waitFor } from "@shardcast/testkit";

/** Many clients and a few senders of numbered messages, `sender:sequence`, for counting on real sockets. */
export class Fleet {
	readonly listeners: RawClient[] = [];
	readonly senders: RawClient[] = [];
	readonly #sent: number[] = [];

	/** Opens one listener per address. */
	async listen(urls: readonly string[]): Promise<void> {
		this.listeners.push(...(await Promise.all(urls.map((url) => RawClient.open(url)))));
	}

	/** Opens a sender and returns its number. */
	async addSender(url: string): Promise<number> {
		this.#sent.push(0);
		return this.senders.push(await RawClient.open(url)) - 1;
	}

	/** Sends the next `count` messages of each sender, in turn. */
	send(count: number): void {
		for (let round = 0; round < count; round++)
			this.senders.forEach((client, sender) => {
				client.send(`${sender}:${this.#sent[sender]++}`);
			});
	}

	/** Waits until each of these listeners has as many messages as were sent. */
	async settle(listeners: readonly RawClient[] = this.listeners, deadlineMs = 20_000): Promise<void> {
		const due = this.#sent.reduce((sum, count) => sum + count, 0);
		await waitFor(
			() => {
				const behind = listeners.filter(({ messages }) => messages.length < due);
				if (behind.length === 0) return true;
				throw new Error(
					`${behind.length} of ${listeners.length} clients have fewer than ${due}; the last has ${behind.at(-1)?.messages.length}`,
				);
			},
			{ deadlineMs, what: `${due} messages at ${listeners.length} clients` },
		);
	}

	/** Exactly once, in order per sender, at these listeners. */
	report(listeners: readonly RawClient[] = this.listeners): DeliveryReport {
		const checker = new DeliveryChecker(listeners.length, this.senders.length);
		listeners.forEach((client, index) => {
			for (const text of client.texts()) {
				const [sender, sequence] = text.split(":").map(Number);
				checker.saw(index, sender!, sequence!);
			}
		});
		return checker.report((_client, sender) => this.#sent[sender]!);
	}

	async close(): Promise<void> {
		await Promise.all([...this.listeners, ...this.senders].map((client) => client.close()));
	}
}

export const flawless = { lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] };
