import { DeliveryChecker, type DeliveryReport, httpRequest, waitFor } from "@shardcast/testkit";
import { RoamingClient } from "../../../nodes/test/support/roaming-client.ts";

const waitMs = 40_000;
const key = "a-key-of-the-api";
const apiHeaders = { "x-api-key": key, "content-type": "application/json" };

/** The JSON answer of a node. */
export async function ask<T>(url: string, method: "GET" | "POST", body?: object): Promise<T> {
	const options = { method, headers: apiHeaders, deadlineMs: 15_000, ...(body !== undefined && { body: JSON.stringify(body) }) };
	return JSON.parse((await httpRequest(url, options)).body) as T;
}

/** The config file of each node. */
export const nodeFile = `
client: { insecure: true, recovery_max_publication_limit: 10000 }
http_api: { key: ${key} }
channel:
  namespaces:
    - { name: news, history_size: 10000, history_ttl: 10m, force_recovery: true, force_positioning: true }
`;

interface Message {
	readonly sender: number;
	readonly n: number;
	/** For compression. */
	readonly text: string;
}

const text = "the same text again and again, ".repeat(10);

/** A node of a test: its URL for clients, such as ws://127.0.0.2:3005. */
export interface Place {
	readonly url: string;
}

interface FleetOptions {
	/** All nodes that serve clients now. Read at each connect. */
	readonly places: () => readonly Place[];
	readonly channel: string;
	/** The first ones connect to the first node, the second, … */
	readonly clients: number;
	readonly senders: number;
	/** Publishes a message; by default through the server API of one node after the other. */
	readonly via?: (channel: string, message: Message) => Promise<unknown>;
}

/** Real clients of one channel on all nodes, publishers on all nodes, and an exact count of what each client gets from each publisher. */
export class Fleet {
	readonly clients: readonly RoamingClient[];
	readonly #options: FleetOptions;
	readonly #checker: DeliveryChecker;
	/** Messages that were accepted, by sender. */
	readonly #accepted: number[];
	/** Number of the last message that each client got from each sender. */
	readonly #last: number[][];
	readonly #received: number[];
	#publishing: Promise<unknown> = Promise.resolve();
	#goesOn = false;

	constructor(options: FleetOptions) {
		const { places, channel, clients, senders } = options;
		this.#options = options;
		this.#checker = new DeliveryChecker(clients, senders);
		this.#accepted = Array.from({ length: senders }, () => 0);
		this.#last = Array.from({ length: clients }, () => Array.from({ length: senders }, () => -1));
		this.#received = Array.from({ length: clients }, () => 0);
		const urls = () => places().map(({ url }) => url);
		this.clients = Array.from({ length: clients }, (_, index) => {
			const client = new RoamingClient(urls, index, channel);
			client.subscription.on("publication", ({ data }) => {
				const { sender, n } = data as Message;
				this.#received[index]!++;
				this.#checker.saw(index, sender, n);
				this.#last[index]![sender] = n;
			});
			return client;
		});
	}

	get accepted(): number {
		return this.#accepted.reduce((sum, count) => sum + count, 0);
	}

	async ready(): Promise<this> {
		await Promise.all(this.clients.map(({ subscription }) => subscription.ready(waitMs)));
		return this;
	}

	/** Each sender publishes one message after the other, each until it is accepted, with a key that makes repetitions harmless. */
	start(): void {
		this.#goesOn = true;
		this.#publishing = Promise.all(this.#accepted.map((_, sender) => this.#send(sender)));
		this.#publishing.catch(() => undefined);
	}

	/** Waits for so many more messages to be accepted. */
	async more(count: number): Promise<void> {
		const before = this.accepted;
		await waitFor(() => this.accepted >= before + count, { deadlineMs: waitMs, what: `${count} more messages` });
	}

	/** Ends publishing after the messages that are being published. `start` may follow. */
	async pause(): Promise<void> {
		this.#goesOn = false;
		await this.#publishing;
	}

	/** Ends publishing, and waits until each client has the last message of each sender. */
	async end(): Promise<DeliveryReport> {
		await this.pause();
		await waitFor(
			() => {
				const behind = this.clients.flatMap(({ client, subscription }, index) => {
					const last = this.#last[index]!;
					const isBehind = last.some((n, sender) => n < this.#accepted[sender]! - 1);
					return isBehind ? [`client ${index} (${client.state}, ${subscription.state}) has ${last} of ${this.#accepted}`] : [];
				});
				if (behind.length > 0) throw new Error(behind.join("; "));
				return true;
			},
			{ deadlineMs: waitMs, what: "the last message at each client" },
		);
		return this.#checker.report((_, sender) => this.#accepted[sender]!);
	}

	/** Number of messages at each client. */
	received(): number[] {
		return [...this.#received];
	}

	get unrecovered(): number {
		return this.clients.reduce((sum, { unrecovered }) => sum + unrecovered, 0);
	}

	disconnect(): void {
		this.#goesOn = false;
		for (const { client } of this.clients) client.disconnect();
	}

	async #send(sender: number): Promise<void> {
		while (this.#goesOn) {
			const n = this.#accepted[sender]!;
			const { via, channel } = this.#options;
			await (via === undefined ? this.#publish({ sender, n, text }) : via(channel, { sender, n, text }));
			this.#accepted[sender] = n + 1;
		}
	}

	async #publish(data: Message): Promise<void> {
		const { places, channel } = this.#options;
		const body = JSON.stringify({ channel, data, idempotency_key: `${data.sender}-${data.n}` });
		let at = data.sender;
		await waitFor(
			async () => {
				const all = places();
				const url = `${all[at++ % all.length]!.url.replace("ws:", "http:")}/api/publish`;
				const reply = await httpRequest(url, { method: "POST", headers: apiHeaders, body, deadlineMs: 5000 });
				if (reply.status !== 200 || "error" in (JSON.parse(reply.body) as object)) throw new Error(`${reply.status} ${reply.body}`);
				return true;
			},
			{ deadlineMs: waitMs, what: `publishing message ${data.n} of sender ${data.sender}`, everyMs: 20 },
		);
	}
}

/** Of a report of `Fleet.end`: each message once and in order. */
export const exactlyOnce = { lost: 0, duplicated: 0, reordered: 0, unexpected: 0 };
