import { setTimeout as pause } from "node:timers/promises";
import { httpRequest, waitFor } from "@shardcast/testkit";
import { RoamingClient } from "./roaming-client.ts";

/** A client that knows all nodes, or edges, and keeps what it gets. */
export class RoamingReader extends RoamingClient {
	/** Offset and data of each publication, over all connections. */
	readonly got: string[] = [];

	constructor(...args: ConstructorParameters<typeof RoamingClient>) {
		super(...args);
		this.subscription.on("publication", ({ data, offset }) => this.got.push(`${offset}:${data as string}`));
	}
}

/** Waits until each of them has got so many publications, since it was created. */
export async function allGot(readers: readonly RoamingReader[], count: number, deadlineMs: number): Promise<void> {
	await waitFor(
		() => {
			const short = readers.filter(({ got }) => got.length < count);
			if (short.length > 0) throw new Error(`${short.length} clients have ${short.map(({ got }) => got.length)}`);
			return true;
		},
		{ deadlineMs, what: `${count} publications at ${readers.length} clients` },
	);
}

/** One that publishes, each publication when the one before was accepted. */
interface Publisher {
	readonly data: (index: number) => string;
	/** Where it is published first, as an index of the URLs, over and over. */
	readonly place: (index: number) => number;
}

interface PublishingParts {
	readonly channel: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Of nodes or edges, `http://…`; looked up at each attempt. */
	readonly urls: () => readonly string[];
	readonly publishers: readonly Publisher[];
	readonly deadlineMs: number;
}

/** Publishes until `stop`. What one place does not accept goes to the next one, with the same idempotency key. */
export class SteadyPublishing {
	/** What was accepted. */
	readonly published: string[] = [];
	readonly #parts: PublishingParts;
	readonly #running: Promise<unknown>;
	#goesOn = true;

	constructor(parts: PublishingParts) {
		this.#parts = parts;
		this.#running = Promise.all(parts.publishers.map((publisher) => this.#run(publisher)));
	}

	async more(count: number): Promise<void> {
		const wanted = this.published.length + count;
		await waitFor(() => this.published.length >= wanted, { deadlineMs: this.#parts.deadlineMs, what: `${count} more publications` });
	}

	async stop(): Promise<void> {
		this.#goesOn = false;
		await this.#running;
	}

	async #run({ data, place }: Publisher): Promise<void> {
		for (let index = 0; this.#goesOn; index++) {
			const text = data(index);
			await this.#publish(text, place(index));
			this.published.push(text);
			// As fast as it can, it would take the CPU from the processes that start meanwhile.
			await pause(10);
		}
	}

	async #publish(data: string, first: number): Promise<void> {
		const { channel, headers, urls, deadlineMs } = this.#parts;
		const body = JSON.stringify({ channel, data, idempotency_key: data });
		let at = first;
		await waitFor(
			async () => {
				const all = urls();
				const answer = await httpRequest(`${all[at++ % all.length]!}/api/publish`, { method: "POST", headers, body, deadlineMs: 3000 });
				if (answer.status >= 300) throw new Error(`${answer.status} ${answer.body}`);
				return true;
			},
			{ deadlineMs, what: `publishing ${data}`, everyMs: 5 },
		);
	}
}
